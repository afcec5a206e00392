/** Running an image, and the containers there are. */

export type RunRequest = {
  readonly image: string;
  readonly arguments: readonly string[];
  readonly remove: boolean;
  readonly name: string | undefined;
  readonly environment: readonly string[];
  readonly workingDirectory: string | undefined;
  readonly user: string | undefined;
  /** undefined: the image's; '' clears it. */
  readonly entrypoint: string | undefined;
  readonly hostname: string | undefined;
  readonly network: 'host' | 'none';
  readonly terminal: boolean;
  readonly pull: 'missing' | 'always' | 'never';
  readonly platform: string | undefined;
};

export type ContainerRow = {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly command: string;
  readonly created: number;
  readonly status: string;
};
