"""How models write calls and reasoning as plain text: one table a format, one machine that reads them all."""
