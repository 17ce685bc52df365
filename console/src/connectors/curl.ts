import type { RequestData } from './trial.ts';

const HIDDEN = '•••';
const SECRET = '"$SECRET"';

/** What curl writes itself, and rightly so when the body is changed. */
const OF_CURL = new Set(['host', 'content-length', 'connection']);

/** The request as a command for a POSIX shell, the secret left to its variable. */
export function asCurl({ method, url, headers, body }: RequestData): string {
  const sent = headers.filter(({ name }) => !OF_CURL.has(name.toLowerCase()));
  return [
    `curl --globoff --include --max-time 3 --request ${quoted(method)}`,
    ...sent.map(({ name, value }) => `--header ${quoted(`${name}: ${value}`)}`),
    `--data-raw ${quoted(body)}`,
    quoted(url),
  ].join(' \\\n  ');
}

/** Nothing has a meaning between single quotes, so only they themselves need care. */
function quoted(text: string): string {
  return text
    .split(HIDDEN)
    .map((part) => (part === '' ? '' : `'${part.replaceAll("'", "'\\''")}'`))
    .join(SECRET);
}
