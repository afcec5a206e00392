/** What the database keeps of networks; apart from the store, since every command opens the database and few ask for a network. */
export const networkTables = `
CREATE TABLE networks (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, document TEXT NOT NULL);
CREATE TABLE network_endpoints (container TEXT NOT NULL, network TEXT NOT NULL, address INTEGER NOT NULL, names TEXT NOT NULL, PRIMARY KEY (container, network));
CREATE TABLE network_ports (container TEXT PRIMARY KEY, ports TEXT NOT NULL)`;
