"""What visitors take away: reports, movies, links."""
