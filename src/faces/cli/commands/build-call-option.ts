import { badValue } from '../option.ts';
import { splitFields } from '../option-values.ts';

/** What `build` is to do: `--call`. */
export type BuildCall = {
  readonly kind: 'build' | 'check' | 'outline' | 'targets' | 'subrequests.describe';
  readonly format: 'text' | 'json';
  /** Findings do not count for the exit code. */
  readonly ignoreStatus: boolean;
};

/** `check`, `check,format=json`, `targets,ignorestatus=true`. */
export function readCall(value: string): BuildCall {
  let call: BuildCall = { kind: 'build', format: 'text', ignoreStatus: false };
  for (const field of splitFields(value)) {
    const [key = '', given] = field.split('=', 2);
    if (key === 'format' && (given === 'json' || given === 'text')) call = { ...call, format: given };
    else if (key === 'ignorestatus' && (given === undefined || given === 'true' || given === 'false'))
      call = { ...call, ignoreStatus: given !== 'false' };
    else call = { ...call, kind: kindOf(given === undefined ? key : key === 'type' ? given : '', value) };
  }
  return call;
}

function kindOf(word: string, value: string): BuildCall['kind'] {
  if (word === 'check' || word === 'lint') return 'check';
  if (word === 'build' || word === 'outline' || word === 'targets' || word === 'subrequests.describe') return word;
  throw badValue(
    'call',
    value,
    'use "build", "check", "outline", "targets" or "subrequests.describe", with ",format=json" or ",ignorestatus=true"',
  );
}
