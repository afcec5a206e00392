/** `RUN --mount`: options with their variables filled in, checked, and turned into mounts of the graph. */
import { JettisonError } from '#ground/base/errors.ts';
import { suggest } from '#ground/base/human.ts';
import type { Mount } from '#formats/graph/op.ts';
import type { Edge } from '#formats/graph/vertex.ts';
import type { RunMount } from '../ast.ts';
import { baseName, cleanPath, resolvePath } from './paths.ts';
import type { Origin } from './plan.ts';
import { expand, placeOf } from './expand.ts';
import { filesOf, type StepContext } from './state.ts';

type MountKind = Mount['kind'];

/** The options of one mount, as written but typed; undefined for what is not given. */
type Options = {
  kind: MountKind;
  source: string;
  target: string;
  readOnly: boolean | undefined;
  required: boolean;
  size: number | undefined;
  id: string;
  sharing: 'shared' | 'private' | 'locked' | undefined;
  mode: number | undefined;
  uid: number | undefined;
  gid: number | undefined;
  variable: string | undefined;
};

const kinds: readonly MountKind[] = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'];
const sharings = ['shared', 'private', 'locked'] as const;
const keys = 'type from source src target dst destination readonly ro readwrite rw id sharing required size mode uid gid env'.split(' ');
/** Buildah's name for `size`. */
const otherKeys: Readonly<Record<string, string>> = { 'tmpfs-size': 'size' };

/** All mounts of a RUN; the trees they read are added to `inputs`. */
export function convertMounts(context: StepContext, mounts: readonly RunMount[], inputs: Edge[]): readonly Mount[] {
  let sshCount = 0;
  return mounts.map((written, index) => {
    const origin = context.step.origins[index] ?? { kind: 'context' };
    const converter = createMountReader(context, written);
    const options = converter.read();
    converter.check(options);
    const sshNumber = options.kind === 'ssh' ? sshCount++ : 0;
    return toMount({ context, options, origin, sshNumber, inputs, written, fail: converter.fail });
  });
}

type Fail = (message: string, hint?: string) => never;

function createMountReader(context: StepContext, written: RunMount) {
  /** The option that is being read; the whole mount for what is wrong with several. */
  let { span } = written;
  const fail: Fail = (message, hint) => {
    const at = placeOf(context, { text: '', span });
    throw new JettisonError('dockerfile/bad-mount', message, { at, ...(hint === undefined ? {} : { hint }) });
  };

  const flag = (key: string, value: string | undefined): boolean => {
    if (value === undefined || /^(?:1|t|true)$/iu.test(value)) return true;
    return /^(?:0|f|false)$/iu.test(value) ? false : fail(`Invalid value for ${key}: ${value}`, 'It is true or false');
  };

  const number = (key: string, value: string, base: 8 | 10): number => {
    const digits = base === 8 ? /^[0-7]{1,11}$/u : /^\d{1,10}$/u;
    const parsed = digits.test(value) ? Number.parseInt(value, base) : Number.NaN;
    return parsed <= 0xffff_ffff
      ? parsed
      : fail(`Invalid value ${value} for ${key}`, base === 8 ? 'Write an octal mode, such as 0755' : 'Write a number');
  };

  function read(): Options {
    const options: Options = {
      kind: 'bind',
      source: '',
      target: '',
      readOnly: undefined,
      required: false,
      size: undefined,
      id: '',
      sharing: undefined,
      mode: undefined,
      uid: undefined,
      gid: undefined,
      variable: undefined,
    };
    for (const option of written.options) {
      ({ span } = option);
      const value = option.value === undefined ? undefined : expand(context, { text: option.value, span });
      readOption(options, otherKeys[option.key] ?? option.key, value);
    }
    ({ span } = written);
    return options;
  }

  /** Options that may stand without a value. */
  function readFlag(options: Options, key: string, value: string | undefined): boolean {
    if (key === 'readonly' || key === 'ro') options.readOnly = flag(key, value);
    else if (key === 'readwrite' || key === 'rw') options.readOnly = !flag(key, value);
    else if (key === 'required') {
      if (options.kind !== 'secret' && options.kind !== 'ssh') fail(`Unexpected key 'required' for mount type '${options.kind}'`);
      options.required = flag(key, value);
    } else return false;
    return true;
  }

  function readOption(options: Options, key: string, value: string | undefined): void {
    if (readFlag(options, key, value)) return;
    if (value === undefined)
      return fail(`Invalid field '${key}' must be a key=value pair`, keys.includes(key) ? `Write ${key}=...` : nearest(key, keys));
    switch (key) {
      case 'type':
        options.kind =
          kinds.find((kind) => kind === value.toLowerCase()) ?? fail(`Unsupported mount type "${value}"`, nearest(value, kinds));
        return undefined;
      case 'from':
        return undefined;
      case 'source':
      case 'src':
        options.source = value;
        return undefined;
      case 'target':
      case 'dst':
      case 'destination':
        options.target = value;
        return undefined;
      case 'size':
        if (options.kind !== 'tmpfs') fail(`Unexpected key 'size' for mount type '${options.kind}'`);
        options.size = parseSize(value) ?? fail(`Invalid value for size: ${value}`, 'Write a number with k, m or g: size=64m');
        return undefined;
      case 'id':
        options.id = value;
        return undefined;
      case 'sharing':
        options.sharing =
          sharings.find((sharing) => sharing === value.toLowerCase()) ??
          fail(`Unsupported sharing value "${value}"`, nearest(value, sharings));
        return undefined;
      case 'mode':
        options.mode = number(key, value, 8);
        return undefined;
      case 'uid':
      case 'gid':
        options[key] = number(key, value, 10);
        return undefined;
      case 'env':
        options.variable = value;
        return undefined;
      default:
        return fail(`Unexpected key '${key}' in '${key}=${value}'`, nearest(key, keys));
    }
  }

  /** What does not go together. */
  function check(options: Options): void {
    const { kind } = options;
    if (kind === 'bind' || kind === 'tmpfs') {
      for (const key of ['mode', 'uid', 'gid'] as const)
        if (options[key] !== undefined) fail(`${key} not allowed for "${kind}" type mounts`);
    }
    if (kind === 'secret') {
      if (written.from !== '') fail('Secret mount should not have a from');
      if (options.sharing !== undefined) fail('Secret mount should not define sharing');
      if (options.source === '' && options.target === '' && options.id === '')
        fail('Invalid secret mount. One of source, target required', 'Write id=NAME');
      if (options.source !== '' && options.id !== '') fail("Both source and id can't be set");
    }
    if (kind === 'ssh' && options.source !== '') fail('Ssh does not support source');
    if (options.sharing !== undefined && kind !== 'cache') fail(`Invalid cache sharing set for ${kind} mount`);
    if (options.variable !== undefined && kind !== 'secret') fail(`Unexpected key 'env' for mount type '${kind}'`);
  }

  return { read, check, fail };
}

type Making = {
  readonly context: StepContext;
  readonly options: Options;
  readonly origin: Origin;
  readonly sshNumber: number;
  readonly inputs: Edge[];
  readonly written: RunMount;
  readonly fail: Fail;
};

function toMount(making: Making): Mount {
  const { options, sshNumber } = making;
  const owner = (mode: number) => ({ mode: options.mode ?? mode, uid: options.uid ?? 0, gid: options.gid ?? 0 });
  switch (options.kind) {
    case 'secret': {
      const id = options.source || options.id || baseName(options.target);
      const file = options.target === '' ? `/run/secrets/${baseName(id)}` : targetOf(making);
      const target = options.variable !== undefined && options.target === '' ? null : file;
      return { kind: 'secret', id, target, variable: options.variable ?? null, ...owner(0o400), required: options.required };
    }
    case 'ssh': {
      const target = options.target === '' ? `/run/buildkit/ssh_agent.${sshNumber}` : targetOf(making);
      return { kind: 'ssh', id: options.id || 'default', target, ...owner(0o600), required: options.required };
    }
    case 'tmpfs':
      return {
        kind: 'tmpfs',
        target: targetOf(making),
        size: options.size ?? null,
        ...(options.readOnly === true ? { readOnly: true } : {}),
      };
    case 'cache': {
      const input = making.written.from === '' ? null : addInput(making);
      return {
        kind: 'cache',
        id: inNamespace(making, options.id || cleanId(options.target)),
        input,
        source: cleanPath(options.source),
        target: targetOf(making),
        sharing: options.sharing ?? 'shared',
        readOnly: options.readOnly ?? false,
        ...owner(0o755),
      };
    }
    case 'bind':
      return {
        kind: 'bind',
        input: addInput(making),
        source: cleanPath(options.source),
        target: targetOf(making),
        readOnly: options.readOnly ?? true,
      };
    default:
      return making.fail(`Unsupported mount type "${String(options.kind)}"`);
  }
}

function targetOf({ context, options, fail }: Making): string {
  const target = resolvePath(context.state.draft.workingDirectory || '/', options.target);
  return target === '/' || options.target === '' ? fail(`Invalid mount target "${options.target}"`, 'Write target=/path') : target;
}

/** BUILDKIT_CACHE_MOUNT_NS: caches of another namespace are other caches. */
function inNamespace({ context }: Making, id: string): string {
  const namespace = context.conversion.plan.options.buildArgs.get('BUILDKIT_CACHE_MOUNT_NS') ?? '';
  return namespace === '' ? id : cleanId(`${namespace}/${id}`);
}

/** Go's path.Clean: a relative target stays relative in the name of its cache. */
function cleanId(target: string): string {
  return target.startsWith('/') ? cleanPath(target) : cleanPath(target).slice(1) || '.';
}

function addInput({ context, origin, inputs, written }: Making): number | null {
  const tree = filesOf(origin, { ...context, at: placeOf(context, { text: '', span: written.span }) });
  if (!tree) return null;
  const known = inputs.findIndex((edge) => edge.vertex.digest === tree.vertex.digest);
  return known >= 0 ? known : inputs.push(tree) - 1;
}

function nearest(word: string, candidates: readonly string[]): string {
  const near = word.length > 40 ? undefined : suggest(word, candidates);
  return near === undefined ? `It is one of ${candidates.join(', ')}` : `Did you mean "${near}"?`;
}

/** Bytes of `64m`, `1.5GiB`, `1000`: units of 1024, as Docker reads memory sizes. */
function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,10})?) ?([kmgtp]?)(?:i?b)?$/iu.exec(text);
  if (!match) return undefined;
  const size = Number(match[1]) * 1024 ** ' kmgtp'.indexOf((match[2] || ' ').toLowerCase());
  return size <= Number.MAX_SAFE_INTEGER ? Math.floor(size) : undefined;
}
