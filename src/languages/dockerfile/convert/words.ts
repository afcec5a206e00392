import { JettisonError } from '#ground/base/errors.ts';
import type { Span } from '#ground/base/span.ts';

/** The error for a word with a fault in its quotes or variables. */
export function badExpansion(written: string, fault: string, at: readonly Span[]): JettisonError {
  const shown = written.length > 120 ? `${written.slice(0, 120)}...` : written;
  return new JettisonError('dockerfile/bad-word', `Failed to process "${shown}": ${fault}`, { at, hint: hintFor(fault) });
}

function hintFor(fault: string): string {
  if (fault.includes('quote')) return 'Close the quote, or put a backslash before it';
  if (fault.includes('is not allowed to be')) return 'Give it a value: --build-arg NAME=VALUE for an ARG';
  if (fault.includes('substitution') || fault.includes('syntax error'))
    return 'Write ${name}, ${name:-default} or ${name#pattern}; "\\$" is a plain dollar sign';
  if (fault.includes('grow')) return 'Use shorter values, or fewer of them';
  return 'Look at the variables and quotes of the word';
}
