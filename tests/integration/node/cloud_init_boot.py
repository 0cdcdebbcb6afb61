"""What cloud-init does with user-data at a boot, for a machine that is a folder. Run by the Python that has cloudinit.

CLOUD_CFG=FILE cloud_init_boot.py     prints whether cloud-init takes this boot for a first boot
"""

from cloudinit import sources, stages

init = stages.Init(ds_deps=[sources.DEP_FILESYSTEM])
init.read_cfg()
init.initialize()
init.fetch(existing="check")
init.instancify()
print("first boot" if init.is_new_instance() else "reboot")
init.update()
init.cloudify().run("consume_data", init.consume_data, args=["once-per-instance"], freq="once-per-instance")
