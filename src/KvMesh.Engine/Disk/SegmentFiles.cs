namespace KvMesh.Engine.Disk;

/// <summary>How files of segments come and go.</summary>
internal static class SegmentFiles
{
    /// <summary>The header is on the device before the file has its name: a named segment without one is damaged, not unfinished.</summary>
    public static FileStatus WriteNew(DiskContext context, int number, long bytes, out IBlockFile? file)
    {
        var name = DiskFileNames.Segment(number);
        var unfinished = name + DiskFileNames.Unfinished;
        var status = context.Files.Create(unfinished, bytes, direct: true, out file);
        if (status != FileStatus.Ok)
        {
            return status;
        }

        var header = context.Headers.Rent();
        SegmentHeader.Write(header.Span, context.Store, number, bytes, context.Time.GetUtcNow().ToUnixTimeMilliseconds());
        status = file!.Write(0, header.Span, default);
        context.Headers.Return(header);
        status = status == FileStatus.Ok ? file.Sync() : status;
        status = status == FileStatus.Ok ? context.Files.Rename(unfinished, name) : status;
        if (status != FileStatus.Ok)
        {
            file.Dispose();
            context.Files.Delete(unfinished);
        }

        return status;
    }

    /// <summary>Deletes a segment that nobody reads any more, and its list. False: not yet, or the file system refuses.</summary>
    public static bool TryDelete(DiskContext context, Segment segment)
    {
        if (!segment.Uses.IsDrained)
        {
            return false;
        }

        if (context.Files.Delete(DiskFileNames.Segment(segment.Number)) is not (FileStatus.Ok or FileStatus.NotFound))
        {
            return false;
        }

        segment.File.Dispose();
        context.Files.Delete(DiskFileNames.List(segment.Number));
        return true;
    }
}
