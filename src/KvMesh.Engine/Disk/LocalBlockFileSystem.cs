namespace KvMesh.Engine.Disk;

/// <summary>A folder of the machine.</summary>
internal sealed class LocalBlockFileSystem : IBlockFileSystem
{
    /// <exception cref="IOException">The folder cannot be created or written to; the message names it.</exception>
    public LocalBlockFileSystem(string directory, bool useDirectIo) => throw new NotImplementedException();

    public bool UsesDirectIo => throw new NotImplementedException();

    public FileStatus List(out IReadOnlyList<string> names) => throw new NotImplementedException();

    public FileStatus Create(string name, long bytes, bool direct, out IBlockFile? file) => throw new NotImplementedException();

    public FileStatus Open(string name, bool direct, out IBlockFile? file) => throw new NotImplementedException();

    public FileStatus Rename(string from, string to) => throw new NotImplementedException();

    public FileStatus Delete(string name) => throw new NotImplementedException();

    public FileStatus SyncDirectory() => throw new NotImplementedException();
}
