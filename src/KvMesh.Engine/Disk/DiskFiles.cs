namespace KvMesh.Engine.Disk;

/// <summary>Small files that are read and replaced as a whole.</summary>
internal static class DiskFiles
{
    /// <summary>Largest file that is read as a whole: the list of a segment full of the smallest records with the longest names.</summary>
    private const long MaxWholeBytes = 256L * 1024 * 1024;

    public static FileStatus ReadAll(IBlockFileSystem files, string name, out byte[] content)
    {
        content = [];
        var status = files.Open(name, direct: false, out var file);
        if (status != FileStatus.Ok)
        {
            return status;
        }

        using (file)
        {
            if (file!.Length > MaxWholeBytes)
            {
                return FileStatus.Failed;
            }

            content = new byte[file.Length];
            return content.Length == 0 ? FileStatus.Ok : file.Read(0, content, default);
        }
    }

    /// <summary>Puts a file in place at once or not at all. It is on the device afterwards; its name is after the next directory sync.</summary>
    public static FileStatus Replace(IBlockFileSystem files, string name, ReadOnlySpan<byte> content)
    {
        var unfinished = name + DiskFileNames.Unfinished;
        var status = files.Create(unfinished, 0, direct: false, out var file);
        if (status != FileStatus.Ok)
        {
            return status;
        }

        using (file)
        {
            status = file!.Write(0, content, default);
            status = status == FileStatus.Ok ? file.Sync() : status;
        }

        status = status == FileStatus.Ok ? files.Rename(unfinished, name) : status;
        if (status != FileStatus.Ok)
        {
            files.Delete(unfinished);
        }

        return status;
    }
}
