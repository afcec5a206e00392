import { JettisonError } from '#ground/base/errors.ts';

/** The secret `name` as the value of a header; the newline at the end of a file is none of it. undefined without one. Throws `context/bad-secret`. */
export function headerSecret(name: string, secret: (name: string) => string | undefined): string | undefined {
  const value = secret(name)?.replace(/[\r\n]+$/u, '');
  if (value === undefined || value === '') return undefined;
  if (/^[\x20-\x7e]+$/u.test(value)) return value;
  throw new JettisonError('context/bad-secret', `The secret "${name}" cannot be sent: it has several lines, or is no ASCII`, {
    hint: 'It is a token, or the value of an Authorization header, on one line',
  });
}
