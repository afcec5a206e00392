/** What the runtime token of a GitHub Actions job says of itself: a JSON Web Token (RFC 7519), read but not checked, as only the service can. */
import * as v from 'valibot';
import { checkShape, parseJson, type Document } from '#ground/base/decode.ts';
import { JettisonError } from '#ground/base/errors.ts';

/** A branch, or another part of a repository's cache, that the token opens. */
export type ActionsScope = { readonly name: string; readonly canRead: boolean; readonly canWrite: boolean };

const document: Document = { what: 'the token of the GitHub Actions cache', code: 'object/bad-token', limit: 64 * 1024 };
const claims = v.looseObject({ ac: v.string(), exp: v.exactOptional(v.number()), nbf: v.exactOptional(v.number()) });
const scopes = v.pipe(v.array(v.looseObject({ Scope: v.string(), Permission: v.number() })), v.maxLength(100));

/** `now`: milliseconds since the epoch. Throws `object/bad-token`, which never quotes the token. */
export function readActionsToken(token: string, now: number): readonly ActionsScope[] {
  const [, payload = '', ...rest] = token.split('.');
  if (rest.length !== 1) throw unusable('it is no JSON Web Token');
  const { ac, exp, nbf } = checkShape(parseJson(decode(payload), document), claims, document);
  if (exp !== undefined && now >= exp * 1000) throw unusable('it has expired');
  if (nbf !== undefined && now < nbf * 1000) throw unusable('it is not valid yet');
  return checkShape(parseJson(new TextEncoder().encode(ac), document), scopes, document).map(({ Scope, Permission }) => ({
    name: Scope,
    canRead: (Permission & 1) !== 0,
    canWrite: (Permission & 2) !== 0,
  }));
}

/** base64url without padding. */
function decode(payload: string): Uint8Array {
  try {
    const text = atob(payload.replaceAll('-', '+').replaceAll('_', '/'));
    return Uint8Array.from(text, (unit) => unit.charCodeAt(0));
  } catch (error) {
    if (error instanceof DOMException) throw unusable('it is no JSON Web Token');
    throw error;
  }
}

function unusable(why: string): JettisonError {
  return new JettisonError('object/bad-token', `Cannot use the token of the GitHub Actions cache: ${why}`, {
    hint: 'ACTIONS_RUNTIME_TOKEN is what a job of GitHub Actions is given; it ends with the job',
  });
}
