#!/bin/sh
# The role and the database of Disqua: an ordinary role, because row-level security does not bind a superuser.
set -eu
psql --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --set password="$DATABASE_PASSWORD" <<'SQL'
CREATE ROLE disqua LOGIN PASSWORD :'password';
CREATE DATABASE disqua OWNER disqua ENCODING 'UTF8' TEMPLATE template0;
SQL
