/** The commands by name. Only the file of the one that was asked for is loaded. */
import type { Command } from './command.ts';

export type CommandEntry = {
  /** The first is the one that help shows. */
  readonly names: readonly string[];
  readonly summary: string;
  readonly load: () => Promise<Command>;
};

export const commandTable: readonly CommandEntry[] = [
  {
    names: ['build', 'image build', 'builder build', 'buildx build', 'buildx b'],
    summary: 'Build an image from a Dockerfile',
    load: async () => (await import('./commands/build.ts')).buildCommand,
  },
  {
    names: ['run', 'container run'],
    summary: 'Create and run a new container from an image',
    load: async () => (await import('./commands/run.ts')).runCommand,
  },
  {
    names: ['create', 'container create'],
    summary: 'Create a new container, without starting it',
    load: async () => (await import('./commands/create.ts')).createCommand,
  },
  {
    names: ['start', 'container start'],
    summary: 'Start containers',
    load: async () => (await import('./commands/start.ts')).startCommand,
  },
  {
    names: ['stop', 'container stop'],
    summary: 'Stop running containers',
    load: async () => (await import('./commands/stop.ts')).stopCommand,
  },
  {
    names: ['restart', 'container restart'],
    summary: 'Restart containers',
    load: async () => (await import('./commands/stop.ts')).restartCommand,
  },
  {
    names: ['kill', 'container kill'],
    summary: 'Kill running containers',
    load: async () => (await import('./commands/kill.ts')).killCommand,
  },
  {
    names: ['wait', 'container wait'],
    summary: 'Block until containers stop, then print their exit codes',
    load: async () => (await import('./commands/kill.ts')).waitCommand,
  },
  {
    names: ['pause', 'container pause'],
    summary: 'Pause all processes of containers',
    load: async () => (await import('./commands/kill.ts')).pauseCommand,
  },
  {
    names: ['unpause', 'container unpause'],
    summary: 'Let paused containers go on',
    load: async () => (await import('./commands/kill.ts')).unpauseCommand,
  },
  {
    names: ['rename', 'container rename'],
    summary: 'Rename a container',
    load: async () => (await import('./commands/kill.ts')).renameCommand,
  },
  {
    names: ['attach', 'container attach'],
    summary: 'Attach standard input, output and error to a running container',
    load: async () => (await import('./commands/attach.ts')).attachCommand,
  },
  {
    names: ['images', 'image ls', 'image list'],
    summary: 'List images',
    load: async () => (await import('./commands/images.ts')).imagesCommand,
  },
  {
    names: ['history', 'image history'],
    summary: 'Show the history of an image',
    load: async () => (await import('./commands/history.ts')).historyCommand,
  },
  {
    names: ['inspect'],
    summary: 'Show what is known of containers, images, networks and volumes',
    load: async () => (await import('./commands/inspect.ts')).inspectCommand,
  },
  {
    names: ['image inspect'],
    summary: 'Show what is known of images',
    load: async () => (await import('./commands/inspect.ts')).inspectImageCommand,
  },
  {
    names: ['container inspect'],
    summary: 'Show what is known of containers',
    load: async () => (await import('./commands/inspect.ts')).inspectContainerCommand,
  },
  {
    names: ['tag', 'image tag'],
    summary: 'Give an image one more name',
    load: async () => (await import('./commands/tag.ts')).tagCommand,
  },
  {
    names: ['rmi', 'image rm', 'image remove'],
    summary: 'Remove images',
    load: async () => (await import('./commands/rmi.ts')).rmiCommand,
  },
  {
    names: ['pull', 'image pull'],
    summary: 'Download an image from a registry',
    load: async () => (await import('./commands/pull.ts')).pullCommand,
  },
  {
    names: ['push', 'image push'],
    summary: 'Upload an image to a registry',
    load: async () => (await import('./commands/push.ts')).pushCommand,
  },
  {
    names: ['save', 'image save'],
    summary: 'Save images to a tar archive',
    load: async () => (await import('./commands/save.ts')).saveCommand,
  },
  {
    names: ['load', 'image load'],
    summary: 'Load images from a tar archive',
    load: async () => (await import('./commands/load.ts')).loadCommand,
  },
  {
    names: ['unpack', 'image unpack'],
    summary: 'Make a folder of the files of an image',
    load: async () => (await import('./commands/unpack.ts')).unpackCommand,
  },
  {
    names: ['image mount'],
    summary: 'Mount images for root, read-only, and print where; or list what is mounted',
    load: async () => (await import('./commands/image-mount.ts')).mountImageCommand,
  },
  {
    names: ['image unmount', 'image umount'],
    summary: 'Take mounts of images away, and print the ids of the images',
    load: async () => (await import('./commands/image-mount.ts')).unmountImageCommand,
  },
  {
    names: ['image tree'],
    summary: 'Show the layers of an image',
    load: async () => (await import('./commands/image-layers.ts')).imageTreeCommand,
  },
  {
    names: ['image diff'],
    summary: 'List the files that an image changes in the layers below it, or from one image to another',
    load: async () => (await import('./commands/image-diff.ts')).imageDiffCommand,
  },
  {
    names: ['cp', 'container cp'],
    summary: 'Copy files/folders between a container and the local filesystem',
    load: async () => (await import('./commands/cp.ts')).cpCommand,
  },
  {
    names: ['diff', 'container diff'],
    summary: "Inspect changes to files or directories on a container's filesystem",
    load: async () => (await import('./commands/diff.ts')).diffCommand,
  },
  {
    names: ['export', 'container export'],
    summary: "Export a container's filesystem as a tar archive",
    load: async () => (await import('./commands/export.ts')).exportCommand,
  },
  {
    names: ['commit', 'container commit'],
    summary: "Create a new image from a container's changes",
    load: async () => (await import('./commands/commit.ts')).commitCommand,
  },
  {
    names: ['import', 'image import'],
    summary: 'Import the contents from a tarball to create a filesystem image',
    load: async () => (await import('./commands/import.ts')).importCommand,
  },
  {
    names: ['ps', 'container ls', 'container list', 'container ps'],
    summary: 'List containers',
    load: async () => (await import('./commands/ps.ts')).psCommand,
  },
  {
    names: ['top', 'container top'],
    summary: 'Display the running processes of a container',
    load: async () => (await import('./commands/top.ts')).topCommand,
  },
  {
    names: ['stats', 'container stats'],
    summary: 'Display a live stream of container(s) resource usage statistics',
    load: async () => (await import('./commands/stats.ts')).statsCommand,
  },
  {
    names: ['update', 'container update'],
    summary: 'Update configuration of one or more containers',
    load: async () => (await import('./commands/update.ts')).updateCommand,
  },
  {
    names: ['events', 'system events'],
    summary: 'Tell what happens to containers, images, networks and volumes, as it happens',
    load: async () => (await import('./commands/events.ts')).eventsCommand,
  },
  {
    names: ['exec', 'container exec'],
    summary: 'Execute a command in a running container',
    load: async () => (await import('./commands/exec.ts')).execCommand,
  },
  {
    names: ['rm', 'container rm', 'container remove'],
    summary: 'Remove containers',
    load: async () => (await import('./commands/rm.ts')).rmCommand,
  },
  {
    names: ['volume create'],
    summary: 'Create a volume',
    load: async () => (await import('./commands/volume.ts')).volumeCreateCommand,
  },
  {
    names: ['volume ls', 'volume list'],
    summary: 'List volumes',
    load: async () => (await import('./commands/volume.ts')).volumeLsCommand,
  },
  {
    names: ['volume inspect'],
    summary: 'Show what is known of volumes',
    load: async () => (await import('./commands/volume.ts')).volumeInspectCommand,
  },
  {
    names: ['volume rm', 'volume remove'],
    summary: 'Remove volumes that no container uses',
    load: async () => (await import('./commands/volume.ts')).volumeRmCommand,
  },
  {
    names: ['volume prune'],
    summary: 'Remove volumes that no container uses',
    load: async () => (await import('./commands/volume.ts')).volumePruneCommand,
  },
  {
    names: ['debug'],
    summary: 'Open a shell where a build failed, or in a stage of it',
    load: async () => (await import('./commands/debug.ts')).debugCommand,
  },
  {
    names: ['resume'],
    summary: 'Go on with the build that failed, from its failed step',
    load: async () => (await import('./commands/resume.ts')).resumeCommand,
  },
  {
    names: ['why'],
    summary: 'Say why the steps of a build ran again',
    load: async () => (await import('./commands/why.ts')).whyCommand,
  },
  {
    names: ['verify'],
    summary: 'Build twice under changed conditions, and name the steps that make other files each time',
    load: async () => (await import('./commands/verify.ts')).verifyCommand,
  },
  {
    names: ['context'],
    summary: 'Show what is in the build context, by which rule, and which instruction takes it',
    load: async () => (await import('./commands/list-context.ts')).contextCommand,
  },
  {
    names: ['plan'],
    summary: 'Show what a build would run, without running anything',
    load: async () => (await import('./commands/plan.ts')).planCommand,
  },
  {
    names: ['builds', 'history builds', 'builds ls', 'buildx history ls'],
    summary: 'List the builds that were',
    load: async () => (await import('./commands/builds.ts')).buildsCommand,
  },
  {
    names: ['builds inspect', 'buildx history inspect'],
    summary: 'Show what is known of a build and its steps',
    load: async () => (await import('./commands/builds-inspect.ts')).inspectBuildCommand,
  },
  {
    names: ['builds logs', 'buildx history logs'],
    summary: 'Print what the steps of a build wrote',
    load: async () => (await import('./commands/builds-logs.ts')).buildLogsCommand,
  },
  {
    names: ['builds rm', 'buildx history rm'],
    summary: 'Remove builds and their logs from the list',
    load: async () => (await import('./commands/builds-rm.ts')).removeBuildsCommand,
  },
  {
    names: ['info', 'system info'],
    summary: 'Show what this machine and its image store offer',
    load: async () => (await import('./commands/info.ts')).infoCommand,
  },
  {
    names: ['doctor'],
    summary: 'Try what this machine lets a build do, and say what is missing',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
  {
    names: ['du', 'builder du', 'buildx du'],
    summary: 'Show what the build cache takes up',
    load: async () => (await import('./commands/du.ts')).duCommand,
  },
  {
    names: ['system df'],
    summary: 'Show what images, containers and the build cache take up',
    load: async () => (await import('./commands/df.ts')).dfCommand,
  },
  {
    names: ['prune', 'builder prune'],
    summary: 'Remove build cache',
    load: async () => (await import('./commands/prune.ts')).pruneCommand,
  },
  {
    names: ['buildx prune'],
    summary: 'Remove build cache',
    load: async () => (await import('./commands/prune.ts')).buildxPruneCommand,
  },
  {
    names: ['image prune'],
    summary: 'Remove unused images',
    load: async () => (await import('./commands/image-prune.ts')).imagePruneCommand,
  },
  {
    names: ['container prune'],
    summary: 'Remove all containers that have ended',
    load: async () => (await import('./commands/container-prune.ts')).containerPruneCommand,
  },
  {
    names: ['system prune'],
    summary: 'Remove unused data',
    load: async () => (await import('./commands/system-prune.ts')).systemPruneCommand,
  },
  {
    names: ['check'],
    summary: 'Tell whether a container of an image would start, and what it lacks',
    load: async () => (await import('./commands/check.ts')).checkCommand,
  },
  {
    names: ['blame'],
    summary: 'Tell which line, build context or image the files of an image came from',
    load: async () => (await import('./commands/blame.ts')).blameCommand,
  },
  {
    names: ['ledger'],
    summary: 'Tell what each stage of an image built, and what of that is in it',
    load: async () => (await import('./commands/ledger.ts')).ledgerCommand,
  },
  {
    names: ['sbom'],
    summary: 'List the packages that an image has',
    load: async () => (await import('./commands/sbom.ts')).sbomCommand,
  },
  {
    names: ['network create'],
    summary: 'Create a network',
    load: async () => (await import('./commands/network.ts')).createNetworkCommand,
  },
  {
    names: ['network ls', 'network list'],
    summary: 'List networks',
    load: async () => (await import('./commands/network.ts')).listNetworksCommand,
  },
  {
    names: ['network inspect'],
    summary: 'Show what is known of networks',
    load: async () => (await import('./commands/network.ts')).inspectNetworkCommand,
  },
  {
    names: ['network rm', 'network remove'],
    summary: 'Remove networks',
    load: async () => (await import('./commands/network.ts')).removeNetworksCommand,
  },
  {
    names: ['network prune'],
    summary: 'Remove all networks that no container stands on',
    load: async () => (await import('./commands/network.ts')).pruneNetworksCommand,
  },
  {
    names: ['network connect'],
    summary: 'Connect a container to a network',
    load: async () => (await import('./commands/network.ts')).connectNetworkCommand,
  },
  {
    names: ['network disconnect'],
    summary: 'Disconnect a container from a network',
    load: async () => (await import('./commands/network.ts')).disconnectNetworkCommand,
  },
  {
    names: ['port', 'container port'],
    summary: 'List the ports that lead into a container',
    load: async () => (await import('./commands/port.ts')).portCommand,
  },
  {
    names: ['logs', 'container logs'],
    summary: 'Fetch the logs of a container',
    load: async () => (await import('./commands/logs.ts')).logsCommand,
  },
  {
    names: ['replay'],
    summary: 'Type the commands of a Markdown tutorial and see whether it shows what they print',
    load: async () => (await import('./commands/replay.ts')).replayCommand,
  },
  {
    names: ['version'],
    summary: 'Show the version',
    load: async () => (await import('./commands/version.ts')).versionCommand,
  },
  {
    names: ['context ls', 'context list'],
    summary: 'List contexts (there is one)',
    load: async () => (await import('./commands/context.ts')).listContextsCommand,
  },
  {
    names: ['context show'],
    summary: 'Print the name of the context',
    load: async () => (await import('./commands/context.ts')).showContextCommand,
  },
  {
    names: ['context use'],
    summary: 'Set the context (there is one)',
    load: async () => (await import('./commands/context.ts')).useContextCommand,
  },
  {
    names: ['context inspect'],
    summary: 'Show what is known of contexts',
    load: async () => (await import('./commands/context.ts')).inspectContextCommand,
  },
  {
    names: ['buildx create'],
    summary: 'Give the builder one more name',
    load: async () => (await import('./commands/buildx-create.ts')).createBuilderCommand,
  },
  {
    names: ['buildx rm'],
    summary: 'Take names from the builder',
    load: async () => (await import('./commands/buildx-create.ts')).removeBuilderCommand,
  },
  {
    names: ['buildx stop'],
    summary: 'Stop the builder (it runs only while it builds)',
    load: async () => (await import('./commands/buildx-create.ts')).stopBuilderCommand,
  },
  {
    names: ['buildx ls'],
    summary: 'List the names of the builder',
    load: async () => (await import('./commands/buildx.ts')).listBuildersCommand,
  },
  {
    names: ['buildx inspect'],
    summary: 'Show the builder',
    load: async () => (await import('./commands/buildx.ts')).inspectBuilderCommand,
  },
  {
    names: ['buildx use'],
    summary: 'Choose a name of the builder',
    load: async () => (await import('./commands/buildx.ts')).useBuilderCommand,
  },
  {
    names: ['buildx imagetools create', 'imagetools create'],
    summary: 'Make an image of images in registries',
    load: async () => (await import('./commands/imagetools-create.ts')).createImageCommand,
  },
  {
    names: ['buildx imagetools inspect', 'imagetools inspect'],
    summary: 'Show an image in its registry',
    load: async () => (await import('./commands/imagetools-inspect.ts')).inspectRemoteCommand,
  },
  {
    names: ['manifest create'],
    summary: 'Begin a list of manifests that are in registries',
    load: async () => (await import('./commands/manifest.ts')).createListCommand,
  },
  {
    names: ['manifest add'],
    summary: 'Add a manifest in a registry to a list',
    load: async () => (await import('./commands/manifest.ts')).addToListCommand,
  },
  {
    names: ['manifest exists'],
    summary: 'Ask by the exit code whether there is such a list here: 0, or 1',
    load: async () => (await import('./commands/manifest.ts')).listExistsCommand,
  },
  {
    names: ['manifest annotate'],
    summary: 'Say what a manifest of a list is for',
    load: async () => (await import('./commands/manifest.ts')).annotateListCommand,
  },
  {
    names: ['manifest inspect'],
    summary: 'Show a list of manifests, or a manifest in its registry',
    load: async () => (await import('./commands/manifest.ts')).inspectListCommand,
  },
  {
    names: ['manifest push'],
    summary: 'Push a list of manifests',
    load: async () => (await import('./commands/manifest.ts')).pushListCommand,
  },
  {
    names: ['manifest rm'],
    summary: 'Remove lists of manifests here',
    load: async () => (await import('./commands/manifest.ts')).removeListCommand,
  },
  {
    names: ['buildx version'],
    summary: 'Show the version',
    load: async () => (await import('./commands/buildx.ts')).buildxVersionCommand,
  },
  {
    names: ['registry serve'],
    summary: 'Keep images on this machine, for pushes and pulls',
    load: async () => (await import('./commands/registry-serve.ts')).serveRegistryCommand,
  },
  {
    names: ['login'],
    summary: 'Show a registry who you are, and keep that for pulls and pushes',
    load: async () => (await import('./commands/login.ts')).loginCommand,
  },
  {
    names: ['logout'],
    summary: 'Forget who you are to a registry',
    load: async () => (await import('./commands/login.ts')).logoutCommand,
  },
  {
    names: ['completion'],
    summary: 'Print a script with which bash, zsh or fish complete words of jettison',
    load: async () => (await import('./commands/completion.ts')).completionCommand,
  },
];

/** Commands of the docker CLI that are not built yet; those that will not be are in refused-commands.ts. */
export const notBuiltCommands: ReadonlySet<string> = new Set(['volume update']);
