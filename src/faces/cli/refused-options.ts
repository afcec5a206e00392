/** Options of the docker CLI that jettison does not have: what to do instead. Whatever a command's `notBuilt` names stands here, or is told with its usage alone. */

const throughput =
  'Limits of reading and writing on one device are not there: "--blkio-weight" shares the disk, "systemd-run -p IOReadBandwidthMax=..." around the command limits it';
const realtime = 'Processes of containers have no real-time budget: "--cpus" and "--cpu-shares" limit and share the processors';
const windows = 'It is for Windows, and does nothing on Linux: leave it out';
const noTrust = 'Leave it out: no image is looked up in Docker Content Trust. Sign digests with a tool such as cosign';
const noCluster = 'It is for volumes of a swarm, which there is none of: leave it out';
const oneAddress = 'Networks are bridges with IPv4 addresses: leave it out, or take "--ip"';

/** By the name of the option; `COMMAND OPTION` where it means something of its own there. */
const instead: ReadonlyMap<string, string> = new Map([
  ['leave', 'The builder is this machine alone and has no nodes to remove: "jettison buildx rm NAME" removes the name'],
  ['node', 'The builder is this machine alone and has one node: leave it out'],
  ['buildkitd-config', 'There is no such daemon: mirrors, retries and the size of the cache are in ~/.config/jettison/config.json'],
  ['keep-daemon', 'Leave it out: no daemon runs'],
  ['builder', 'Give the name without the option'],
  ['global', 'Leave it out: the name is for this store, whatever the context'],
  ['timeout', 'Leave it out: nothing has to be reached'],
  ['blkio-weight-device', throughput],
  ['device-read-bps', throughput],
  ['device-read-iops', throughput],
  ['device-write-bps', throughput],
  ['device-write-iops', throughput],
  ['cpu-rt-period', realtime],
  ['cpu-rt-runtime', realtime],
  ['cpu-count', windows],
  ['cpu-percent', windows],
  ['io-maxbandwidth', windows],
  ['io-maxiops', windows],
  ['kernel-memory', 'The kernel has no such limit any more: "--memory" counts what it keeps for the container, too'],
  ['oom-kill-disable', 'Leave it out: "--memory" alone ends what takes too much; "--oom-score-adj" says who goes first'],
  ['device-cgroup-rule', 'Name each device with "--device", or all of them with "--privileged"'],
  [
    'gpus',
    'Name the devices with "--device" (such as /dev/dri, /dev/nvidia0, /dev/nvidiactl, /dev/nvidia-uvm), and bind the libraries of the driver with "-v"',
  ],
  ['runtime', 'runc or crun runs containers, whichever is found: "jettison info" says which'],
  ['storage-opt', 'A container may take what the disk has: give it "--tmpfs PATH:size=..." or a volume on a file system with a quota'],
  ['mac-address', 'Leave it out: each container has one of its own'],
  ['ip6', oneAddress],
  ['link-local-ip', oneAddress],
  ['link', 'Containers on one network find each other by name, and by "--alias"'],
  ['gw-priority', 'The first network that a container stands on has its way out'],
  ['driver-opt', 'Networks are plain bridges, and their ends have no options: leave it out'],
  ['use-api-socket', 'There is no daemon whose socket could be handed in'],
  ['disable-content-trust', noTrust],
  ['checkpoint', 'Processes cannot be frozen into a file: "jettison commit" keeps the files of a container'],
  ['checkpoint-dir', 'Processes cannot be frozen into a file: "jettison commit" keeps the files of a container'],
  [
    'squash',
    'Use "--fold": the image loses what its later layers hide, and keeps its layers, which other images share. For one layer alone copy all into a last stage: "FROM scratch", "COPY --from=STAGE / /"',
  ],
  [
    'security-opt',
    'Steps run with what "jettison info" lists: "--allow security.insecure" and "RUN --security=insecure" give a step all rights',
  ],
  ['insecure', 'Registries of this machine are spoken to without it; for others see "registries" in ~/.config/jettison/config.json'],
  ['attachable', 'Leave it out: every network can be attached to'],
  ['aux-address', 'Leave a part of the subnet free with "--ip-range"'],
  ['config-from', 'It is for networks of a swarm: name "--subnet", "--gateway" and "--ip-range" themselves'],
  ['config-only', 'It is for networks of a swarm: name "--subnet", "--gateway" and "--ip-range" themselves'],
  ['ingress', 'It is for networks of a swarm: leave it out'],
  ['ipam-driver', 'Addresses are given out by jettison: "--subnet", "--gateway" and "--ip-range" say which'],
  ['ipam-opt', 'Addresses are given out by jettison: "--subnet", "--gateway" and "--ip-range" say which'],
  ['ipv4', 'Leave it out: every network has IPv4 addresses'],
  ['ipv6', 'Networks have IPv4 addresses only; "--network host" has all of the machine'],
  ['network create opt', 'Bridges have no options: leave it out'],
  ['network create scope', 'Networks are those of this machine: leave it out'],
  ['availability', noCluster],
  ['group', noCluster],
  ['limit-bytes', noCluster],
  ['required-bytes', noCluster],
  ['volume create scope', noCluster],
  ['volume create secret', noCluster],
  ['sharing', noCluster],
  ['topology-preferred', noCluster],
  ['topology-required', noCluster],
  ['volume create type', noCluster],
  ['cluster', noCluster],
]);

const settings =
  'Leave it out: for plain HTTP see "registries" in ~/.config/jettison/config.json, for a certificate certs.d/HOST:PORT/ of ~/.config/containers';
const loggedIn = 'Leave it out: what "jettison login" or "podman login" keeps is used';

/** Of Buildah and Podman, which docker does not have. */
const insteadOfOthers: ReadonlyMap<string, string> = new Map([
  ['tls-verify', settings],
  ['cert-dir', settings],
  ['creds', loggedIn],
  ['authfile', 'Name the file in the variable REGISTRY_AUTH_FILE'],
  [
    'build manifest',
    'Build all platforms at once: "--platform linux/amd64,linux/arm64 -t NAME"; "jettison manifest create" makes a list of what is in registries',
  ],
]);

/** The same of an option that only other builders have. */
export function insteadOfOther(command: string, option: string): string | undefined {
  return insteadOfOthers.get(`${command} ${option}`) ?? insteadOfOthers.get(option);
}

/** What to do instead of an option that `command` has in docker; undefined where nothing is said. */
export function insteadOfOption(command: string, option: string): string | undefined {
  return instead.get(`${command} ${option}`) ?? instead.get(option);
}
