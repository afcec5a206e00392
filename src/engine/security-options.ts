/** `--security-opt`, as Docker's engine reads it. */
import { JettisonError } from '#ground/base/errors.ts';
import type { ContainerHold } from '#execution/worker/contract.ts';

type Found = Pick<NonNullable<ContainerHold['confinement']>, 'noNewPrivileges' | 'seccomp' | 'opensSystemPaths'>;

/** What a seccomp profile is, is its text here: a file was read before. Throws `engine/bad-security-option`. */
export function readSecurityOptions(options: readonly string[]): Found {
  return options.reduce<Found>((found, option) => ({ ...found, ...readOption(option) }), {});
}

function readOption(option: string): Found {
  const [, name = '', value] = /^([a-z-]+)(?:[=:]([^]*))?$/u.exec(option) ?? [];
  switch (name) {
    case 'no-new-privileges':
      if (value === undefined || value === 'true') return { noNewPrivileges: true };
      if (value === 'false') return { noNewPrivileges: false };
      throw bad(option, 'it is "true" or "false"');
    case 'seccomp':
      if (value === 'unconfined') return { seccomp: null };
      if (value === 'builtin') return {};
      if (value !== undefined && value !== '') return { seccomp: value };
      throw bad(option, 'use "seccomp=unconfined" or "seccomp=FILE"');
    case 'systempaths':
      if (value === 'unconfined') return { opensSystemPaths: true };
      throw bad(option, 'use "systempaths=unconfined"');
    case 'apparmor':
      if (value === 'unconfined') return {};
      throw notThere(option, 'AppArmor profiles', '"apparmor=unconfined"');
    case 'label':
      if (value === 'disable') return {};
      throw notThere(option, 'SELinux labels', '"label=disable"');
    default:
      throw bad(option, 'there is no-new-privileges, seccomp, systempaths, apparmor and label');
  }
}

function bad(option: string, why: string): JettisonError {
  return new JettisonError('engine/bad-security-option', `invalid --security-opt: "${option.slice(0, 60)}": ${why}`);
}

function notThere(option: string, what: string, hint: string): JettisonError {
  return new JettisonError(
    'engine/bad-security-option',
    `invalid --security-opt: "${option.slice(0, 60)}": ${what} are not applied to containers`,
    {
      hint: `Leave it out, or say ${hint}, which is how it is`,
    },
  );
}
