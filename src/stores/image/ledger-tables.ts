/** Where `ledgers.ts` keeps its rows; apart from it, so that a command that asks for none loads nothing of it. */

/** Migration of the database, after `imageTables`. */
export const ledgerTables = `
CREATE TABLE image_ledgers (image_id TEXT PRIMARY KEY REFERENCES images ON DELETE CASCADE, ledger TEXT NOT NULL);
`;
