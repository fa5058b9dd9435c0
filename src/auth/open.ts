/**
 * Makes the authenticator that the settings ask for: none, one of static tokens, one of JWTs as well.
 *
 * What reads JWTs is loaded only where they are accepted.
 */
import type { AuthSettings } from '../config/settings.ts';
import type { Log } from '../observe/port.ts';
import type { Authenticator } from '../protocol/authenticator.ts';
import { TokenAuthenticator } from './token-authenticator.ts';

/** Null: authentication is off. Rejects on settings that cannot work. */
export async function openAuthenticator(settings: AuthSettings | null, log: Log): Promise<Authenticator | null> {
  if (settings === null) return null;
  if (settings.jwt === null) return new TokenAuthenticator(settings, log, null);
  const { JwtVerifier } = await import('./jwt-verifier.ts');
  return new TokenAuthenticator(settings, log, new JwtVerifier(settings.jwt));
}
