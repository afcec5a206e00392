/** The config of the image being made, as instructions apply to it. A draft belongs to one stage and is changed in place. */
import type { ContainerConfig, Healthcheck, HistoryEntry, ImageConfig } from '#formats/oci/image-config.ts';
import type { Platform } from '#formats/oci/platform.ts';

/** What Docker sets when an image has no PATH of its own. */
export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export type ConfigDraft = {
  /** Members that no instruction changes, kept as they were in the base image. */
  readonly kept: ImageConfig;
  author: string;
  user: string;
  workingDirectory: string;
  stopSignal: string;
  readonly variables: Map<string, string>;
  readonly labels: Map<string, string>;
  readonly ports: Set<string>;
  readonly volumes: Set<string>;
  entrypoint: readonly string[];
  command: readonly string[];
  commandEscaped: boolean;
  shell: readonly string[];
  healthcheck: Healthcheck | undefined;
  readonly onBuild: string[];
  readonly history: HistoryEntry[];
};

/** The draft of a stage that starts from nothing. */
export function emptyDraft(platform: Platform): ConfigDraft {
  return draftOf({
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    config: { Env: [`PATH=${defaultPath}`], WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: [] },
  });
}

/** The draft of a stage that starts from `image`: a base image, or an earlier stage's config. ONBUILD triggers do not carry over. */
export function draftOf(image: ImageConfig): ConfigDraft {
  const { created: _created, ...kept } = image;
  const config = image.config ?? {};
  return {
    kept,
    author: image.author ?? '',
    user: config.User ?? '',
    workingDirectory: config.WorkingDir ?? '',
    stopSignal: config.StopSignal ?? '',
    variables: new Map((config.Env ?? []).map(splitVariable)),
    labels: new Map(Object.entries(config.Labels ?? {})),
    ports: new Set(Object.keys(config.ExposedPorts ?? {})),
    volumes: new Set(Object.keys(config.Volumes ?? {})),
    entrypoint: config.Entrypoint ?? [],
    command: config.Cmd ?? [],
    commandEscaped: config.ArgsEscaped ?? false,
    shell: config.Shell ?? [],
    healthcheck: config.Healthcheck,
    onBuild: [],
    history: [...(image.history ?? [])],
  };
}

/** The draft of a stage that starts from an earlier one: what `draftOf` makes of that one's finished config. ONBUILD triggers do not carry over. */
export function draftOn(below: ConfigDraft): ConfigDraft {
  const variables = new Map<string, string>();
  for (const [name, value] of below.variables) {
    // A name can have a "=" in it when a variable made it.
    const [key, rest] = name.includes('=') ? splitVariable(`${name}=${value}`) : [name, value];
    variables.set(key, rest);
  }
  return {
    ...below,
    variables,
    labels: new Map(below.labels),
    ports: new Set(below.ports),
    volumes: new Set(below.volumes),
    onBuild: [],
    history: [...below.history],
  };
}

/** Adds a history entry as BuildKit writes it; `layer`: a layer belongs to it. */
export function addHistory(draft: ConfigDraft, createdBy: string, layer: boolean): void {
  draft.history.push({ created_by: createdBy, comment: 'buildkit.dockerfile.v0', ...(layer ? {} : { empty_layer: true }) });
}

/** Adds a history entry as the builder before BuildKit wrote it. */
export function addClassicHistory(draft: ConfigDraft, createdBy: string, layer: boolean): void {
  draft.history.push({ created_by: createdBy, ...(layer ? {} : { empty_layer: true }) });
}

/** What stands before a command in shell form. */
export function shellOf(draft: Pick<ConfigDraft, 'shell'>): readonly string[] {
  return draft.shell.length > 0 ? draft.shell : ['/bin/sh', '-c'];
}

/** The config document, without a creation time; members without content are left out as Go's `omitempty` does. */
export function finishDraft(draft: ConfigDraft): ImageConfig {
  const { config: _config, history: _history, author: _author, ...kept } = draft.kept;
  return {
    ...kept,
    ...(draft.author === '' ? {} : { author: draft.author }),
    config: finishConfig(draft),
    history: [...draft.history],
  };
}

/** Members that are made anew from the draft. */
const ownMembers: ReadonlySet<string> = new Set(
  'User ExposedPorts Env Entrypoint Cmd Volumes WorkingDir Labels StopSignal Healthcheck Shell OnBuild ArgsEscaped'.split(' '),
);

function finishConfig(draft: ConfigDraft): ContainerConfig {
  const other = Object.fromEntries(Object.entries(draft.kept.config ?? {}).filter(([name]) => !ownMembers.has(name)));
  return {
    ...other,
    ...(draft.user === '' ? {} : { User: draft.user }),
    ...(draft.ports.size === 0 ? {} : { ExposedPorts: emptyObjects(draft.ports) }),
    ...(draft.variables.size === 0 ? {} : { Env: joinVariables(draft.variables) }),
    ...(draft.entrypoint.length === 0 ? {} : { Entrypoint: draft.entrypoint }),
    ...(draft.command.length === 0 ? {} : { Cmd: draft.command }),
    ...(draft.volumes.size === 0 ? {} : { Volumes: emptyObjects(draft.volumes) }),
    ...(draft.workingDirectory === '' ? {} : { WorkingDir: draft.workingDirectory }),
    ...(draft.labels.size === 0 ? {} : { Labels: Object.fromEntries(draft.labels) }),
    ...(draft.stopSignal === '' ? {} : { StopSignal: draft.stopSignal }),
    ...(draft.healthcheck === undefined ? {} : { Healthcheck: draft.healthcheck }),
    ...(draft.shell.length === 0 ? {} : { Shell: draft.shell }),
    ...(draft.onBuild.length === 0 ? {} : { OnBuild: [...draft.onBuild] }),
    ...(draft.commandEscaped ? { ArgsEscaped: true } : {}),
  };
}

/** `NAME=value` of each, in order. */
export function joinVariables(variables: ReadonlyMap<string, string>): readonly string[] {
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

/** `NAME=value` cut at the first `=`; without one the value is empty. */
export function splitVariable(text: string): [name: string, value: string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function emptyObjects(names: ReadonlySet<string>): Record<string, object> {
  return Object.fromEntries([...names].map((name) => [name, {}]));
}
