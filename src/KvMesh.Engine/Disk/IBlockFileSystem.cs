namespace KvMesh.Engine.Disk;

/// <summary>What became of one operation on a file. Nothing else is reported: no operation of these ports throws.</summary>
internal enum FileStatus
{
    Ok,

    /// <summary>The device or the quota is full.</summary>
    NoSpace,

    /// <summary>There is no such file.</summary>
    NotFound,

    /// <summary>Anything else: an I/O error, a file that is too short, a refused permission.</summary>
    Failed,
}

/// <summary>
/// One folder of files without sub-folders. Names are plain file names. Members may be called from any thread; two calls about one
/// name at the same time are the caller's bug. A creation, a rename and a removal survive power loss after <see cref="SyncDirectory"/>.
/// </summary>
internal interface IBlockFileSystem
{
    /// <summary>Whether files opened for direct I/O pass by the page cache here.</summary>
    bool UsesDirectIo { get; }

    /// <summary>Names of all files.</summary>
    FileStatus List(out IReadOnlyList<string> names);

    /// <summary>
    /// Creates a file of <paramref name="bytes"/> zeros, with its space set aside where the file system can, in place of any of that
    /// name. A file for direct I/O takes only offsets, lengths and memory that are multiples of 4,096.
    /// </summary>
    FileStatus Create(string name, long bytes, bool direct, out IBlockFile? file);

    /// <summary>Opens a file that exists.</summary>
    FileStatus Open(string name, bool direct, out IBlockFile? file);

    /// <summary>Gives a file another name, replacing a file that has it, at once or not at all.</summary>
    FileStatus Rename(string from, string to);

    /// <summary>Removes a file. Open ones stay readable until they are disposed.</summary>
    FileStatus Delete(string name);

    FileStatus SyncDirectory();
}

/// <summary>
/// An open file. Reads and writes name their offset, may run at the same time from any threads, and are whole or not at all for the
/// caller: after any other status than Ok the range may hold old bytes, new bytes or both. What was written survives the end of
/// the process; it survives power loss after <see cref="Sync"/>. Dispose only when no call is in progress.
/// </summary>
internal interface IBlockFile : IDisposable
{
    /// <summary>Bytes of the file when it was opened or created, grown by writes beyond the end.</summary>
    long Length { get; }

    /// <summary>Fills <paramref name="first"/> and then <paramref name="second"/>, which may be empty.</summary>
    FileStatus Read(long offset, Span<byte> first, Span<byte> second);

    /// <summary>Writes <paramref name="first"/> and then <paramref name="second"/>, which may be empty.</summary>
    FileStatus Write(long offset, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second);

    /// <summary>Cuts the file to <paramref name="bytes"/>, which is no more than its length.</summary>
    FileStatus Truncate(long bytes);

    FileStatus Sync();
}
