"""The web page: `session` keeps what users opened, `page` lays it out, `figures` describes what is drawn."""
