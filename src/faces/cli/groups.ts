/** Words that stand before commands (`image ls`), and which commands general help shows first. */

/** What the commands of a group have to do with, for help. */
export const groupSummaries: Readonly<Record<string, string>> = {
  builder: 'Manage builds',
  builds: 'Look at the builds that were',
  buildx: 'Build, as the buildx plugin of docker is called',
  'buildx history': 'Look at the builds that were',
  'buildx imagetools': 'Work on images in registries',
  container: 'Manage containers',
  context: 'Show the one context there is',
  history: 'Look at the builds that were',
  image: 'Manage images',
  imagetools: 'Work on images in registries',
  manifest: 'Work on manifests of images for several platforms',
  network: 'Manage networks',
  registry: 'Serve images on this machine',
  system: 'Look at and clear up what jettison keeps',
  volume: 'Manage volumes',
};

/** In the order of docker's help. */
export const commonCommands: readonly string[] = [
  'run',
  'exec',
  'ps',
  'build',
  'pull',
  'push',
  'images',
  'login',
  'logout',
  'version',
  'info',
];
