import { endpoint } from '../api/api.ts';
import { isExpired } from './session.ts';

/** What the server says to a token before anybody is signed in by it. */
export type Verdict = 'good' | 'refused' | 'expired' | 'mail' | 'unreachable';

/** Ask the server who holds the token. */
export async function tryToken(token: string): Promise<Verdict> {
  if (!/^[\w.-]+$/.test(token)) {
    return 'refused'; // no JWT, and no browser would put it in a header
  }
  try {
    const response = await fetch(endpoint(), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query: '{ viewer { role } }' }),
    });
    switch (response.status) {
      case 200:
        return 'good';
      case 401:
        return isExpired(token) ? 'expired' : 'refused';
      case 403:
        return 'mail';
      default:
        return 'unreachable';
    }
  } catch {
    return 'unreachable';
  }
}
