export function TicketList() {
  return null;
}
