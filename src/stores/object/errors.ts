/** What goes wrong between us and a service that keeps objects. The transport's errors speak of registries, in their codes and hints. */
import { JettisonError } from '#ground/base/errors.ts';

/** The same failure as an error of this room; what is none of the transport's stays as it is. No text of it holds one of the `secrets`, whoever put it there. */
export function objectError(error: unknown, secrets: readonly string[]): unknown {
  if (!(error instanceof JettisonError)) return error;
  const message = withoutSecrets(error.message, secrets);
  if (!error.code.startsWith('registry/')) return message === error.message ? error : hidden(error, message);
  // A cause may quote what the message must not.
  const cause = message === error.message ? error : undefined;
  switch (error.code) {
    case 'registry/unauthorized':
    case 'registry/forbidden':
      return new JettisonError('object/unauthorized', message, { cause, hint: 'Check the credentials of the cache, and what they allow' });
    case 'registry/not-found':
      return new JettisonError('object/not-found', message, { fault: 'environment', cause });
    case 'registry/wrong-size':
    case 'registry/wrong-digest':
      return new JettisonError('object/wrong-bytes', message, { fault: 'environment', cause });
    default:
      return new JettisonError('object/unavailable', message, { fault: 'environment', cause });
  }
}

/** An answer that is not what the service's protocol says. */
export function badAnswer(host: string, why: string): JettisonError {
  return new JettisonError('object/bad-answer', `Cannot understand "${host}": ${why}`, { fault: 'environment' });
}

/** An object that is not there, or not any more. */
export function missingObject(host: string, key: string): JettisonError {
  return new JettisonError('object/not-found', `"${host}" has no "${key}" (any more)`, { fault: 'environment' });
}

function hidden(error: JettisonError, message: string): JettisonError {
  return new JettisonError(error.code, message, { fault: error.fault, ...(error.hint === undefined ? {} : { hint: error.hint }) });
}

function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => (secret === '' ? shown : shown.replaceAll(secret, '***')), text);
}
