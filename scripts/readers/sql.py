"""Texts and names in SQL."""


def sql_text(value):
    return "'" + value.replace("'", "''") + "'"


def sql_name(*path):
    return ".".join('"' + name.replace('"', '""') + '"' for name in path)
