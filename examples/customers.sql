-- A small customer table for the examples; running it twice changes nothing.
BEGIN;

CREATE TABLE IF NOT EXISTS customers (
    id INTEGER PRIMARY KEY,
    -- NOCASE, because the helpdesk asks in lower case whatever your table holds; UNIQUE makes the index that finds it.
    -- In PostgreSQL: a unique index on lower(email), and WHERE lower(email) = lower($1).
    -- A domain like příklad.example is stored in the ASCII form that DNS and the helpdesk use.
    email TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name TEXT,
    plan TEXT,
    yearly_value INTEGER, -- CZK
    seats INTEGER,
    since TEXT, -- YYYY-MM-DD
    owner TEXT,
    blocked INTEGER NOT NULL DEFAULT 0
);

INSERT OR IGNORE INTO customers (id, email, name, plan, yearly_value, seats, since, owner, blocked) VALUES
    (1001, 'Jan.Novak@company.cz', 'Jan Novák', 'business', 48000, 12, '2021-03-15', 'Petra Malá', 0),
    (1002, 'ceo@bigcorp.example', 'Grace Hill', 'enterprise', 1250000, 400, '2018-11-02', 'Petra Malá', 0),
    (1003, 'trial@startup.example', 'Ada Byte', 'trial', 0, 1, '2026-01-05', NULL, 0),
    (1004, 'zofie@xn--pklad-zsa96e.example', 'Žofie Nguyễn 張', 'business', 96000, 25, '2023-07-01', 'Ondřej Říha', 0),
    (1005, 'info@unknown.example', NULL, NULL, NULL, NULL, NULL, NULL, 0),
    (1006, 'debtor@company.example', 'Karel Dlužný', 'enterprise', 300000, 80, '2019-05-20', 'Ondřej Říha', 1);

COMMIT;
