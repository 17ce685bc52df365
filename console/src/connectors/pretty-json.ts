const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/**
 * JSON with its members below each other; any other text as it is.
 *
 * Made of the text's own tokens, for reading it into values would round long numbers and lose members of the same name.
 */
export function prettyJson(text: string): string {
  return isJson(text) ? laidOut(text.match(TOKEN) ?? []) : text;
}

function laidOut(tokens: readonly string[]): string {
  let depth = 0;
  let out = '';
  tokens.forEach((token, at) => {
    if (token === '}' || token === ']') {
      depth -= 1;
      out += isOpening(tokens[at - 1]) ? token : `${line(depth)}${token}`;
      return;
    }
    if (at > 0 && (tokens[at - 1] === ',' || isOpening(tokens[at - 1]))) {
      out += line(depth);
    }
    out += token === ':' ? ': ' : token;
    depth += isOpening(token) ? 1 : 0;
  });
  return out;
}

function isOpening(token: string | undefined): boolean {
  return token === '{' || token === '[';
}

function line(depth: number): string {
  return `\n${'  '.repeat(depth)}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
