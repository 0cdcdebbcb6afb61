"""Everything that speaks to vCenter. Only this package imports pyVmomi; it takes and gives plain values."""
