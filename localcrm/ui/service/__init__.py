"""Parts of the screens of service: words for clocks, deeds, the page of one ticket."""
