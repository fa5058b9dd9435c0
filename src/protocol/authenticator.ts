/**
 * The port between the endpoint and authentication.
 *
 * Role: the endpoint hands over the `Authorization` header and learns who is calling, or how to refuse. What a token
 * is and how it is checked is the implementation's (`src/auth/`). Answers at once when it can (static tokens, cached
 * verdicts) and with a promise otherwise. Must not throw or reject: a failure of its own is a refusal.
 */
import type { Principal } from '../catalogue/define.ts';

export interface AuthRefusal {
  /** 401: no token, or one that is not good; 403: a good one that lacks a scope. */
  readonly status: 401 | 403;
  readonly message: string;
  /** Value of the `WWW-Authenticate` header. */
  readonly wwwAuthenticate: string;
}

export interface Authenticator {
  /** `authorizationHeader` is `''` when the header is absent. */
  authenticate(authorizationHeader: string): Principal | AuthRefusal | Promise<Principal | AuthRefusal>;
}

export function isAuthRefusal(answer: Principal | AuthRefusal): answer is AuthRefusal {
  return 'wwwAuthenticate' in answer;
}
