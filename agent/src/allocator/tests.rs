mod assigning;
mod following;
mod founding;
mod full_disk;
mod restarting;
mod rig;
mod spelling;
mod store_faults;
