/** Commands of the docker CLI that jettison does not have and will not have as they are: what to use instead. */

const noSwarm = 'jettison runs containers on this machine only and has no swarm: use an orchestrator such as Kubernetes for services';
const noPlugins = 'jettison is one program: what plugins do for docker (volumes, networks, logs) it does itself or not at all';
const noDesktop = 'Records are read here: "jettison builds inspect", "jettison builds logs" and "jettison why"';
/** By the words that name the command or a whole group of commands. */
const instead: ReadonlyMap<string, string> = new Map([
  ['checkpoint', 'Processes cannot be frozen into a file: "jettison commit" keeps the files of a container'],
  ['compose', 'Build each service with "jettison build" and start it with "jettison run"'],
  ['config', noSwarm],
  ['node', noSwarm],
  ['plugin', noPlugins],
  ['scan', 'Use a scanner that reads archives or OCI layouts, on what "jettison save" writes'],
  ['scout', 'Use a scanner that reads archives or OCI layouts, on what "jettison save" writes'],
  ['search', 'Search on the web page of the registry; "jettison pull NAME" then brings the image'],
  ['secret', `${noSwarm}; builds have "jettison build --secret"`],
  ['service', noSwarm],
  ['stack', noSwarm],
  ['swarm', noSwarm],
  ['trust', 'Sign images with a tool such as cosign, by the digest that "jettison push" prints'],
  ['app', 'Build each service with "jettison build" and start it with "jettison run"'],
  ['engine', 'There is no engine to set up: every command of jettison does its work itself'],
  ['init', 'Write a Dockerfile by hand; "jettison build --check" says what is wrong with it'],
  ['system dial-stdio', 'There is no daemon to speak to: run jettison on the other machine, over SSH'],
  ['builder inspect', 'Use "jettison buildx inspect" or "jettison info"'],
  ['buildx bake', 'Run "jettison build --target" once for each target; what they share is built once'],
  ['buildx dial-stdio', 'There is no daemon to speak to: run jettison on the other machine, over SSH'],
  ['buildx debug', 'Run "jettison build --target" up to the step before, then "jettison run" what it made'],
  ['buildx history export', noDesktop],
  ['buildx history import', noDesktop],
  ['buildx history open', noDesktop],
  ['buildx history trace', 'No traces are kept: "jettison builds inspect" has the times of all steps'],
  ['context create', 'There is no daemon to choose: run jettison on the other machine, over SSH'],
  ['context export', 'There is one context, which says nothing that could be kept in a file'],
  ['context import', 'There is one context: there is no daemon to choose'],
  ['context rm', 'There is one context, and it cannot be removed'],
  ['context update', 'There is one context, and nothing in it can be changed'],
]);

/** What to use instead of the command that these words begin with; undefined when docker has no such command, or jettison has it. */
export function insteadOf(words: readonly string[]): { readonly name: string; readonly hint: string } | undefined {
  for (const length of [3, 2, 1]) {
    const name = words.slice(0, length).join(' ');
    const hint = instead.get(name);
    if (hint !== undefined) return { name, hint };
  }
  return undefined;
}

export function refusedCommands(): readonly string[] {
  return [...instead.keys()];
}
