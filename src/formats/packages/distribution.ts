/** What an image says that it is: os-release(5). */

export type Distribution = {
  /** `debian`; '' where nobody says. */
  readonly id: string;
  readonly version: string;
};

export const noDistribution: Distribution = { id: '', version: '' };

export function readOsRelease(text: string): Distribution {
  const values = new Map(
    text.split('\n').flatMap((line) => {
      const match = /^(?<name>[A-Z_0-9]+)=(?<value>.*)$/u.exec(line.trim());
      return match?.groups === undefined
        ? []
        : [[match.groups['name'], (match.groups['value'] ?? '').replaceAll(/^(["'])(.*)\1$/gu, '$2')] as const];
    }),
  );
  return { id: (values.get('ID') ?? '').toLowerCase(), version: values.get('VERSION_ID') ?? '' };
}
