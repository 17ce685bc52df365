export function TicketPage({ id }: { id: string }) {
  return id;
}
