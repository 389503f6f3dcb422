-- The database of the demo, made by its owner. The role of the application is app.

CREATE EXTENSION IF NOT EXISTS session_store;
SELECT session_store_grant('app');

CREATE TABLE account (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    password text NOT NULL -- salt and hash, see accounts.js
);
GRANT SELECT, UPDATE (password) ON account TO app;

-- Everybody's password is "umbrella".
INSERT INTO account (name, password) VALUES
    ('ada', '5cd02c9b3d2842816ab099b1a95be460:2b1a9570d58f82baedfd19b16e2ef79c65dd1a0702be23cc01b6036de7cb63ce'),
    ('grace', '1137f294d8ef44ec6a592f6e1fea6bb4:d9b4e27e330eae75731f59231ce6f91b524a6415a67fdb8a451ee68df6ac394a');
