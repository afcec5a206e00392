/** RUN: one process over the files so far, one layer. */
import { JettisonError } from '#ground/base/errors.ts';
import type { ExecOp, FileOp, Mount } from '#formats/graph/op.ts';
import type { Edge } from '#formats/graph/vertex.ts';
import { joinVariables, shellOf, type ConfigDraft } from '#languages/frontend/config-draft.ts';
import type { Command, RunInstruction } from '../ast.ts';
import { bodyOf, parseHeredocHead } from '../syntax/heredoc.ts';
import { convertMounts } from './mounts.ts';
import { cleanPath } from './paths.ts';
import { record } from './history.ts';
import { addLayer, type Conversion, type StageState, type StepContext } from './state.ts';

/** Where the text of a here-document with `#!` appears in the container. */
const inlineFolder = '/dev/pipes';
const sandboxHostname = 'buildkitsandbox';

export function convertRun(context: StepContext, instruction: RunInstruction): void {
  const { state, conversion } = context;
  refuseRights(context, instruction);
  const inputs: Edge[] = state.files ? [state.files] : [];
  const { text, mounts: inline } = readCommand(conversion, instruction, inputs);
  const own = convertMounts(context, instruction.mounts, inputs);
  const mounts = inline.length === 0 ? own : [...inline, ...own];
  context.facts.mounts = mounts;
  if (conversion.isDry) return;
  const processArguments = text === undefined ? argumentsOf(instruction.command, state.draft) : [...shellOf(state.draft), text];
  const [body] = instruction.heredocs;
  const suffix = body && text !== undefined ? ` (${summarize(body.content)})` : '';
  addLayer(context, () => execOp({ context, instruction, mounts, processArguments }), inputs, suffix);
  record(context, () => `RUN ${[...argumentPrefix(state), ...processArguments].join(' ')} # buildkit`, {
    isLayer: true,
    classic: () => [...classicPrefix(state), ...processArguments].join(' '),
  });
}

type Execution = {
  readonly context: StepContext;
  readonly instruction: RunInstruction;
  readonly mounts: readonly Mount[];
  readonly processArguments: readonly string[];
};

function execOp({ context: { state, conversion }, instruction, mounts, processArguments }: Execution): ExecOp {
  const { options } = conversion.plan;
  return {
    kind: 'exec',
    root: state.files ? 0 : null,
    arguments: processArguments,
    environment: joinVariables(withAgent(state.variables, mounts)),
    workingDirectory: cleanPath(state.draft.workingDirectory),
    user: state.draft.user,
    network: instruction.network === 'none' || instruction.network === 'host' ? instruction.network : options.network,
    security: instruction.security,
    mounts,
    extraHosts: options.extraHosts,
    hostname: options.buildArgs.get('BUILDKIT_SANDBOX_HOSTNAME') || sandboxHostname,
    shmSize: options.shmSize ?? null,
    ...(options.ulimits === undefined || options.ulimits.length === 0 ? {} : { ulimits: options.ulimits }),
    ...(options.cgroupParent === undefined ? {} : { cgroupParent: options.cgroupParent }),
  };
}

/** A Dockerfile cannot give itself more rights than its user gave the build. Linting it gives none. */
function refuseRights({ conversion, at }: StepContext, { network, security }: RunInstruction): void {
  const { allow = [] } = conversion.plan.options;
  if (conversion.isDry) return;
  const needed = [
    ...(network === 'host' ? [['network.host', '--network=host'] as const] : []),
    ...(security === 'insecure' ? [['security.insecure', '--security=insecure'] as const] : []),
  ];
  for (const [entitlement, flag] of needed) {
    if (allow.includes(entitlement)) continue;
    throw new JettisonError('dockerfile/not-allowed', `RUN ${flag}: ${entitlement} is not allowed`, {
      at,
      hint: `Allow it with "build --allow ${entitlement}", or leave the flag out`,
    });
  }
}

/** What a shell-form or exec-form command runs. */
export function argumentsOf(command: Command, draft: ConfigDraft): readonly string[] {
  return command.form === 'exec' ? command.arguments.map((word) => word.text) : [...shellOf(draft), command.text.text];
}

/** The shell's text when here-documents have a part in it; undefined for an ordinary command. */
function readCommand(
  conversion: Conversion,
  { command, heredocs }: RunInstruction,
  inputs: Edge[],
): { readonly text?: string; readonly mounts: readonly Mount[] } {
  const [first] = heredocs;
  if (!first || command.form === 'exec') return { mounts: [] };
  if (!parseHeredocHead(command.text.text)) {
    return { text: [command.text.text, ...heredocs.map(({ content, name }) => `${content}${name}`)].join('\n'), mounts: [] };
  }
  const body = bodyOf(first);
  if (!body.startsWith('#!')) return { text: body, mounts: [] };
  const file: FileOp = {
    kind: 'file',
    base: null,
    actions: [
      {
        kind: 'write-file',
        path: '/',
        name: fileName(first.name, first.span),
        destinationIsFolder: true,
        text: body,
        mode: 0o755,
        owner: null,
      },
    ],
  };
  inputs.push(conversion.makeEdge(file, [], { text: 'preparing inline document' }));
  const mount: Mount = { kind: 'bind', input: inputs.length - 1, source: '/', target: inlineFolder, readOnly: true };
  return { text: `${inlineFolder}/${first.name}`, mounts: [mount] };
}

function fileName(name: string, span: RunInstruction['span']): string {
  if (!name.includes('/') && name !== '.' && name !== '..') return name;
  throw new JettisonError('dockerfile/bad-heredoc', `The name of a here-document with "#!" cannot be a path: "${name}"`, { at: [span] });
}

/** With an ssh mount the process is told where its agent is. */
function withAgent(variables: ReadonlyMap<string, string>, mounts: readonly Mount[]): ReadonlyMap<string, string> {
  const agent = mounts.find((mount) => mount.kind === 'ssh');
  if (!agent || variables.has('SSH_AUTH_SOCK')) return variables;
  return new Map([...variables, ['SSH_AUTH_SOCK', agent.target]]);
}

/** `|2 A=1 B=two`: the build arguments in force, as history shows them. */
function argumentPrefix({ arguments: declared, variables }: StageState): readonly string[] {
  if (declared.size === 0) return [];
  return [`|${declared.size}`, ...[...declared].map(([name, value]) => `${name}=${variables.get(name) ?? value ?? ''}`)];
}

/** The same as the builder before BuildKit has it: by name, without those that have no value or that an ENV of the image hides. */
function classicPrefix({ arguments: declared, draft }: StageState): readonly string[] {
  const known = [...declared].flatMap(([name, value]) => (value === undefined || draft.variables.has(name) ? [] : [`${name}=${value}`]));
  return known.length === 0 ? [] : [`|${known.length}`, ...known.toSorted()];
}

function summarize(body: string): string {
  const [first = '', ...more] = body.trim().split('\n', 2);
  return more.length > 0 ? `${first.trimEnd()}...` : first.trimEnd();
}
