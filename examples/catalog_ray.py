"""A catalog of a few units on a Ray cluster: the one at ADDRESS, or one of this machine's own.

python examples/catalog_ray.py [ADDRESS]
"""

import sys

from phosphene import Dream, load
from phosphene.catalog import plan
from phosphene.catalog.cluster import Cluster
from phosphene.catalog.run import catalog
from phosphene.catalog.store import Store
from phosphene.catalog.work import Work
from phosphene.presets import VISUALIZE

if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "auto"
    lens = load("efficientnet_lite0")
    noise = Dream(**VISUALIZE | {"steps": 4}, model="efficientnet_lite0", seed=0)
    made = plan.make(lens, noise, Dream(), pattern="conv_stem", which=(0, 4, 1), wanted=["noise"], size=48)
    site = Store("catalog-site", make=True)
    settings = {"plan": made.to_json(), "site": site.place}
    run = catalog(made, site, lambda: Cluster(Work, settings, address=address, workers=2, threads=1))
    print(f"{run.made} pictures; open catalog-site/index.html")
    site.close()
