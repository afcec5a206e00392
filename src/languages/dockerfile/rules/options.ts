/** `# check=skip=A,B;error=true;experimental=C` and the build argument BUILDKIT_DOCKERFILE_CHECK. */
import type { Comment } from '../ast.ts';
import { parseDirective } from '../syntax/lines.ts';

export type CheckOptions = {
  readonly skip: ReadonlySet<string> | 'all';
  readonly experimental: ReadonlySet<string> | 'all';
  /** Findings make the build fail. */
  readonly error: boolean;
};

export const standardOptions: CheckOptions = { skip: new Set(), experimental: new Set(), error: false };

/** A text for options that cannot be read: what is wrong with them. */
export function parseCheckOptions(text: string): CheckOptions | string {
  let options = standardOptions;
  if (text.trim() === '') return options;
  for (const part of text.split(';')) {
    const equals = part.indexOf('=');
    if (equals < 0) return `invalid check option "${part}"`;
    const [key, value] = [part.slice(0, equals).trim(), part.slice(equals + 1).trim()];
    if (key === 'skip') options = { ...options, skip: readNames(value) };
    else if (key === 'experimental') options = { ...options, experimental: readNames(value) };
    else if (key !== 'error') return `invalid check option "${key}"`;
    else if (/^(?:1|0|t|f|true|false)$/iu.test(value)) options = { ...options, error: /^(?:1|t|true)$/iu.test(value) };
    else return `failed to parse check option "${part}": "${value}" is neither true nor false`;
  }
  return options;
}

/** Options that the comments above an instruction add for it: those of the first `# check=` line. */
export function withComments(options: CheckOptions, comments: readonly Comment[]): CheckOptions {
  for (const { text } of comments) {
    const directive = parseDirective(`#${text}`);
    if (directive?.name !== 'check') continue;
    const own = parseCheckOptions(directive.value.split(' ', 1)[0] ?? '');
    if (typeof own === 'string') return options;
    return {
      skip: union(options.skip, own.skip),
      experimental: union(options.experimental, own.experimental),
      error: options.error || own.error,
    };
  }
  return options;
}

function readNames(text: string): ReadonlySet<string> | 'all' {
  return text === 'all' ? 'all' : new Set(text.split(',').map((name) => name.trim()));
}

function union(a: ReadonlySet<string> | 'all', b: ReadonlySet<string> | 'all'): ReadonlySet<string> | 'all' {
  return a === 'all' || b === 'all' ? 'all' : new Set([...a, ...b]);
}
