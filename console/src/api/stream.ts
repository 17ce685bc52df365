import type { Event, Hearer, Subscription } from './line.ts';

type StreamHearer = Hearer & Readonly<{ opened: () => void; lost: () => void }>;

/** One subscription as server-sent events, for networks that let no socket through. */
export function openStream(url: string, token: string, subscription: Subscription, hearer: StreamHearer): () => void {
  const abort = new AbortController();
  read(url, token, subscription, hearer, abort.signal).then(
    hearer.complete,
    () => abort.signal.aborted || hearer.lost(),
  );
  return () => abort.abort();
}

async function read(
  url: string,
  token: string,
  subscription: Subscription,
  { next, opened }: StreamHearer,
  signal: AbortSignal,
): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { accept: 'text/event-stream', authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(subscription),
    signal,
  });
  if (!response.body || !response.headers.get('content-type')?.startsWith('text/event-stream')) {
    next(await response.json()); // why not
    return;
  }
  opened();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const blocks = (rest + piece.value).split('\r\n\r\n');
    rest = blocks.pop() ?? '';
    for (const event of blocks.flatMap(eventOf)) {
      next(event);
    }
  }
}

/** The event in a block of lines; none in the comments that keep a connection alive (HTML Living Standard, 9.2). */
function eventOf(block: string): Event[] {
  const [name, data] = block.split('\r\ndata: ');
  return name?.endsWith('event: next') && data ? [JSON.parse(data)] : [];
}
