/** Changes of files as BuildKit's FileOp: each action stands on the one before it, the last one gives the result. */
import { toBase64 } from '#ground/base/bytes.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { unreachable } from '#ground/base/errors.ts';
import type { CopyAction, FileAction, FileOp, Owner } from '#formats/graph/op.ts';

type Members = { readonly [member: string]: Json | undefined };

/** Numbers of inputs go on behind those of the vertex with what the actions made. */
export function fileActionsJson({ base, actions }: FileOp, inputs: number): readonly Json[] {
  const all = actions.flatMap((action) => eachAction(action));
  return all.map(({ secondaryInput, ...Action }, index) => ({
    input: index === 0 ? (base ?? -1) : inputs + index - 1,
    secondaryInput: secondaryInput ?? -1,
    output: index === all.length - 1 ? 0 : -1,
    Action,
  }));
}

function eachAction(action: FileAction): readonly Members[] {
  switch (action.kind) {
    case 'copy':
      return action.sources.map((source) => ({ secondaryInput: action.input ?? -1, copy: copyJson(action, source) }));
    case 'make-folder': {
      const { path, mode, owner } = action;
      return [{ mkdir: { path, mode, makeParents: true, owner: ownerJson(owner), timestamp: -1 } }];
    }
    case 'write-file': {
      const { path, name, destinationIsFolder, text, mode, owner } = action;
      const whole = destinationIsFolder ? `${path.replace(/\/$/u, '')}/${name}` : path;
      return [
        {
          mkfile: {
            path: whole,
            ...modeJson(mode),
            data: toBase64(new TextEncoder().encode(text)),
            owner: ownerJson(owner),
            timestamp: -1,
          },
        },
      ];
    }
    default:
      return unreachable(action, 'file action');
  }
}

function copyJson(action: CopyAction, source: string): Json {
  const { destination, destinationIsFolder, owner, mode, wildcards, unpack, exclude } = action;
  return {
    src: source,
    dest: destinationIsFolder && !destination.endsWith('/') ? `${destination}/` : destination,
    owner: ownerJson(owner),
    ...modeJson(mode),
    followSymlink: true,
    dirCopyContents: true,
    attemptUnpackDockerCompatibility: unpack ? true : undefined,
    createDestPath: true,
    allowWildcard: wildcards ? true : undefined,
    allowEmptyWildcard: wildcards ? true : undefined,
    timestamp: -1,
    excludePatterns: exclude.length === 0 ? undefined : exclude,
  };
}

function modeJson(mode: number | string | null): Members {
  return typeof mode === 'string' ? { mode: -1, modeStr: mode } : { mode: mode ?? -1 };
}

function ownerJson(owner: Owner): Json | undefined {
  if (owner === null) return undefined;
  const [user = '', group] = owner.split(':', 2);
  return { user: oneJson(user), group: group === undefined ? undefined : oneJson(group) };
}

function oneJson(who: string): Json {
  return { User: /^\d+$/u.test(who) ? { byId: Number(who) } : { byName: { name: who } } };
}
