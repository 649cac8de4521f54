using System.Runtime.InteropServices;
using KvMesh.Protocol;

namespace KvMesh.Engine.Disk;

/// <summary>A folder of the machine.</summary>
internal sealed class LocalBlockFileSystem : IBlockFileSystem
{
    private const int OwnerOnly = 0b110_000_000;
    private const int FromEnd = 2;
    private const string ProbeName = "direct-io.probe";
    private readonly string _directory;

    /// <exception cref="IOException">The folder cannot be created or written to; the message names it.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be created.</exception>
    public LocalBlockFileSystem(string directory, bool useDirectIo)
    {
        _directory = Path.GetFullPath(directory);
        Directory.CreateDirectory(_directory);
        var status = ProbeDirectIo(useDirectIo, out var isDirect);
        if (status != FileStatus.Ok)
        {
            throw new IOException($"Engine:Disk:Directory '{_directory}' cannot be written to ({status}).");
        }

        UsesDirectIo = isDirect;
    }

    public bool UsesDirectIo { get; }

    public FileStatus List(out IReadOnlyList<string> names)
    {
        try
        {
            names = [.. Directory.EnumerateFiles(_directory).Select(path => Path.GetFileName(path))];
            return FileStatus.Ok;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            names = [];
            return FileStatus.Failed;
        }
    }

    public FileStatus Create(string name, long bytes, bool direct, out IBlockFile? file)
    {
        // The old content goes with its name, never by truncation, so that an open reader of it is not cut short.
        _ = Libc.Unlink(PathOf(name));
        var status = TryOpen(name, Libc.Create, direct, out file);
        if (status != FileStatus.Ok)
        {
            return status;
        }

        status = bytes == 0 ? FileStatus.Ok : SetAside(name, bytes);
        if (status == FileStatus.Ok)
        {
            file!.Dispose();
            return TryOpen(name, 0, direct, out file);
        }

        file!.Dispose();
        file = null;
        _ = Libc.Unlink(PathOf(name));
        return status;
    }

    public FileStatus Open(string name, bool direct, out IBlockFile? file) => TryOpen(name, 0, direct, out file);

    public FileStatus Rename(string from, string to) => Libc.Rename(PathOf(from), PathOf(to)) == 0 ? FileStatus.Ok : Libc.LastStatus();

    public FileStatus Delete(string name) => Libc.Unlink(PathOf(name)) == 0 ? FileStatus.Ok : Libc.LastStatus();

    public FileStatus SyncDirectory()
    {
        var descriptor = Libc.Open(_directory, Libc.Directory | Libc.CloseOnExec, 0);
        if (descriptor < 0)
        {
            return Libc.LastStatus();
        }

        var status = Libc.Sync(descriptor) == 0 ? FileStatus.Ok : Libc.LastStatus();
        _ = Libc.Close(descriptor);
        return status;
    }

    private string PathOf(string name) => Path.Combine(_directory, name);

    private FileStatus TryOpen(string name, int flags, bool direct, out IBlockFile? file)
    {
        file = null;
        var isDirect = direct && UsesDirectIo;
        var descriptor = Libc.Open(PathOf(name), flags | Libc.ReadWrite | Libc.CloseOnExec | (isDirect ? Libc.Direct : 0), OwnerOnly);
        if (descriptor < 0)
        {
            return Libc.LastStatus();
        }

        var length = Libc.Seek(descriptor, 0, FromEnd);
        if (length < 0)
        {
            var status = Libc.LastStatus();
            _ = Libc.Close(descriptor);
            return status;
        }

        file = new LocalBlockFile(descriptor, length, isDirect);
        return FileStatus.Ok;
    }

    /// <summary>Sets space aside; a file system that cannot do that gets a sparse file, and may be full later.</summary>
    private FileStatus SetAside(string name, long bytes)
    {
        var descriptor = Libc.Open(PathOf(name), Libc.ReadWrite | Libc.CloseOnExec, 0);
        if (descriptor < 0)
        {
            return Libc.LastStatus();
        }

        int result;
        do
        {
            result = Libc.Allocate(descriptor, 0, 0, bytes);
        }
        while (result != 0 && Marshal.GetLastPInvokeError() == Libc.Interrupted);

        if (result != 0 && Marshal.GetLastPInvokeError() is Libc.NotSupported or Libc.InvalidArgument)
        {
            result = Libc.SetLength(descriptor, bytes);
        }

        var status = result == 0 ? FileStatus.Ok : Libc.LastStatus();
        _ = Libc.Close(descriptor);
        return status;
    }

    /// <summary>Whether a direct write of one granule works here: some file systems accept the flag and refuse the write.</summary>
    private FileStatus ProbeDirectIo(bool isWanted, out bool isDirect)
    {
        isDirect = false;
        var path = PathOf(ProbeName);
        var plain = Libc.Open(path, Libc.ReadWrite | Libc.Create | Libc.CloseOnExec, OwnerOnly);
        if (plain < 0)
        {
            return Libc.LastStatus();
        }

        _ = Libc.Close(plain);
        var descriptor = isWanted ? Libc.Open(path, Libc.ReadWrite | Libc.CloseOnExec | Libc.Direct, 0) : -1;
        if (descriptor >= 0)
        {
            using var file = new LocalBlockFile(descriptor, 0, direct: true);
            using var granule = new AlignedBuffer(Limits.GranuleBytes);
            isDirect = file.Write(0, granule.Span, default) == FileStatus.Ok && file.Read(0, granule.Span, default) == FileStatus.Ok;
        }

        _ = Libc.Unlink(path);
        return FileStatus.Ok;
    }
}
