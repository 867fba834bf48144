"""The lab's report: one page with plots, drawn here as SVG, that needs no network, no script and no library."""
