/**
 * Seccomp profiles in Docker's form: rules of the OCI runtime spec, each of which may hold for some architectures, capabilities or kernels only
 * (docs.docker.com/engine/security/seccomp, github.com/moby/profiles).
 */
import * as v from 'valibot';
import { seccompActions, seccompComparisons, type SeccompProfile, type SeccompRule } from '#formats/oci/runtime-spec.ts';
import { JettisonError } from '#ground/base/errors.ts';

/** Where a profile is to hold. `kernel`: its release, `6.1.0-18-amd64`. */
export type SeccompPlace = { readonly architecture: string; readonly capabilities: readonly string[]; readonly kernel: string };

const number = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const condition = v.object({
  caps: v.optional(v.nullable(v.array(v.string()))),
  arches: v.optional(v.nullable(v.array(v.string()))),
  minKernel: v.optional(v.string()),
});
const rule = v.object({
  name: v.optional(v.string()),
  names: v.optional(v.nullable(v.array(v.string()))),
  action: v.picklist(seccompActions),
  errnoRet: v.optional(v.nullable(number)),
  args: v.optional(
    v.nullable(v.array(v.object({ index: number, value: number, valueTwo: v.optional(number), op: v.picklist(seccompComparisons) }))),
  ),
  includes: v.optional(v.nullable(condition)),
  excludes: v.optional(v.nullable(condition)),
});
const profile = v.object({
  defaultAction: v.picklist(seccompActions),
  defaultErrnoRet: v.optional(v.nullable(number)),
  architectures: v.optional(v.nullable(v.array(v.string()))),
  archMap: v.optional(
    v.nullable(v.array(v.object({ architecture: v.string(), subArchitectures: v.optional(v.nullable(v.array(v.string()))) }))),
  ),
  flags: v.optional(v.nullable(v.array(v.string()))),
  syscalls: v.optional(v.nullable(v.array(rule))),
});
type Rule = v.InferOutput<typeof rule>;
type Condition = v.InferOutput<typeof condition>;

/** By Node's name: libseccomp's, and Go's, which conditions use. */
const names: ReadonlyMap<string, readonly [libseccomp: string, go: string]> = new Map([
  ['x64', ['SCMP_ARCH_X86_64', 'amd64']],
  ['arm64', ['SCMP_ARCH_AARCH64', 'arm64']],
  ['riscv64', ['SCMP_ARCH_RISCV64', 'riscv64']],
  ['s390x', ['SCMP_ARCH_S390X', 's390x']],
  ['ppc64', ['SCMP_ARCH_PPC64LE', 'ppc64le']],
]);

/** Throws `runtime/bad-seccomp-profile`. */
export function readSeccompProfile(text: string, place: SeccompPlace): SeccompProfile {
  const read = v.safeParse(v.pipe(v.string(), v.parseJson(), profile), text);
  if (!read.success) {
    const [issue] = read.issues;
    throw badProfile(`${v.getDotPath(issue) ?? 'the file'}: ${issue.message}`);
  }
  const { defaultAction, defaultErrnoRet, architectures, archMap, flags, syscalls } = read.output;
  if (isFilled(architectures) && isFilled(archMap)) throw badProfile('it has "architectures" and "archMap": use either of them');
  const [own = '', goName = ''] = names.get(place.architecture) ?? [];
  const mapped = (archMap ?? []).find(({ architecture }) => architecture === own);
  const holdsFor = isFilled(archMap) ? (mapped ? [mapped.architecture, ...(mapped.subArchitectures ?? [])] : []) : (architectures ?? []);
  return {
    defaultAction,
    ...(defaultErrnoRet == null ? {} : { defaultErrnoRet }),
    architectures: holdsFor,
    ...(isFilled(flags) ? { flags: flags ?? [] } : {}),
    syscalls: (syscalls ?? []).flatMap((each) => (holds(each, goName, place) ? [ruleOf(each)] : [])),
  };
}

function isFilled(list: readonly unknown[] | null | undefined): boolean {
  return list != null && list.length > 0;
}

function holds({ includes, excludes }: Rule, architecture: string, place: SeccompPlace): boolean {
  if (excludes?.arches?.includes(architecture) === true) return false;
  if (excludes?.caps?.some((name) => place.capabilities.includes(name)) === true) return false;
  if (excludes?.minKernel !== undefined && reachesKernel(excludes.minKernel, place.kernel)) return false;
  return includes == null || includesHold(includes, architecture, place);
}

function includesHold({ arches, caps, minKernel }: Condition, architecture: string, place: SeccompPlace): boolean {
  if (isFilled(arches) && arches?.includes(architecture) !== true) return false;
  if (caps?.every((name) => place.capabilities.includes(name)) === false) return false;
  return minKernel === undefined || reachesKernel(minKernel, place.kernel);
}

function reachesKernel(least: string, kernel: string): boolean {
  const wanted = /^(\d{1,6})\.(\d{1,6})$/u.exec(least);
  if (!wanted) throw badProfile(`"minKernel" is "${least.slice(0, 40)}", and not like "4.8"`);
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  const [wantedMajor, wantedMinor] = [Number(wanted[1]), Number(wanted[2])];
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function ruleOf({ name, names: several, action, errnoRet, args }: Rule): SeccompRule {
  const isNamed = name !== undefined && name !== '';
  if (isNamed && isFilled(several)) throw badProfile('a rule has "name" and "names": use either of them');
  return {
    names: isNamed ? [name] : (several ?? []),
    action,
    ...(errnoRet == null ? {} : { errnoRet }),
    ...(isFilled(args)
      ? { args: (args ?? []).map(({ valueTwo, ...arg }) => ({ ...arg, ...(valueTwo === undefined ? {} : { valueTwo }) })) }
      : {}),
  };
}

function badProfile(why: string): JettisonError {
  return new JettisonError('runtime/bad-seccomp-profile', `Cannot use the seccomp profile: ${why}`, {
    hint: 'Write it in Docker\'s JSON form, or use "seccomp=unconfined"',
  });
}
