const BYTES = 32;

/** A secret that nobody guesses: 32 random bytes in base64url (RFC 4648, 5), which any header can carry. */
export function goodSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(BYTES));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}
