"""The only SQL: tables, transactions, and one module of queries per aggregate."""
