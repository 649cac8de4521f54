namespace KvMesh.Worker.Devices.Pages;

/// <summary>What a pool of pages has and did.</summary>
/// <param name="Capacity">Pages in all.</param>
/// <param name="Free">Pages that hold nothing.</param>
/// <param name="Kept">Pages that hold a full block under its hash.</param>
/// <param name="InUse">Pages of sequences: blocks being written, and kept ones that are read.</param>
/// <param name="Asked">Blocks of prefixes that sequences asked for.</param>
/// <param name="Found">Of those, the ones that were kept.</param>
/// <param name="Evicted">Kept blocks that left for others.</param>
/// <param name="Refused">Times that there was no room.</param>
public readonly record struct DevicePoolFigures(int Capacity, int Free, int Kept, int InUse, long Asked, long Found, long Evicted, long Refused);
