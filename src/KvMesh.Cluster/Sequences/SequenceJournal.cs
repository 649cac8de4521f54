using System.Buffers.Binary;
using System.Text;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Sequences;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Cluster.Sequences;

/// <summary>
/// The steps of sequences in a file, one record behind the other: u32 bytes of the body, u32 CRC-32C of the body, body. A body is u16 bytes and tenant,
/// u8 bytes and name, u16 bytes and head (0: the sequence is forgotten), i32 index of the first row, u16 rows, rows. What was written
/// survives the process; a record that is torn ends the file. One thread at a time.
/// </summary>
internal sealed class SequenceJournal : IDisposable
{
    /// <summary>"KVMSEQ" and a version.</summary>
    private static ReadOnlySpan<byte> Magic => "KVMSEQ01"u8;

    private const int FrameBytes = 8;

    // A head, names and as many rows as a page has.
    private const int MaxBodyBytes = 256 * 1024;

    private readonly string _path;
    private SafeFileHandle _file;

    private SequenceJournal(string path, SafeFileHandle file, long bytes)
    {
        _path = path;
        _file = file;
        Bytes = bytes;
    }

    /// <summary>Bytes of the file.</summary>
    public long Bytes { get; private set; }

    /// <summary>Opens or creates the file and hands every record in it over, in order. What comes behind a record that is torn or damaged is cut off.</summary>
    /// <exception cref="IOException">The file cannot be used, or belongs to another version of the program.</exception>
    public static SequenceJournal Open(string path, Action<JournalRecord> take, out long cutBytes)
    {
        File.Delete(path + ".new");
        var file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        try
        {
            var length = RandomAccess.GetLength(file);
            var end = length < Magic.Length ? Begin(file) : Replay(path, file, length, take);
            cutBytes = Math.Max(0, length - end);
            RandomAccess.SetLength(file, end);
            return new SequenceJournal(path, file, end);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Bytes of a record in the file.</summary>
    public static int BytesOf(SequenceId id, int headBytes, int rows) =>
        FrameBytes + 11 + Encoding.UTF8.GetByteCount(id.Tenant) + id.Name.Length + headBytes + (rows * SegmentRow.EncodedBytes);

    /// <summary>Writes a record. When it cannot be written whole, it is taken back and the reason is thrown.</summary>
    /// <exception cref="IOException">The disk is full or broken; the file is as it was.</exception>
    public void Append(in JournalRecord record)
    {
        var bytes = Encode(record);
        try
        {
            RandomAccess.Write(_file, bytes, Bytes);
        }
        catch (IOException)
        {
            RandomAccess.SetLength(_file, Bytes);
            throw;
        }

        Bytes += bytes.Length;
    }

    /// <summary>Replaces the file by one that holds only these records. The old one stays in force until the new one is on the device.</summary>
    public void Rewrite(IEnumerable<JournalRecord> records)
    {
        var path = _path + ".new";
        var file = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite, FileShare.None);
        try
        {
            var end = Begin(file);
            using var batch = new MemoryStream();
            foreach (var record in records)
            {
                batch.Write(Encode(record));
                if (batch.Length >= MaxBodyBytes)
                {
                    end = Flush(file, batch, end);
                }
            }

            end = Flush(file, batch, end);
            RandomAccess.FlushToDisk(file);
            File.Move(path, _path, overwrite: true);
            _file.Dispose();
            (_file, Bytes) = (file, end);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        RandomAccess.FlushToDisk(_file);
        _file.Dispose();
    }

    private static long Begin(SafeFileHandle file)
    {
        RandomAccess.Write(file, Magic, 0);
        return Magic.Length;
    }

    private static long Flush(SafeFileHandle file, MemoryStream batch, long end)
    {
        RandomAccess.Write(file, batch.GetBuffer().AsSpan(0, (int)batch.Length), end);
        end += batch.Length;
        batch.SetLength(0);
        return end;
    }

    private static long Replay(string path, SafeFileHandle file, long length, Action<JournalRecord> take)
    {
        using var stream = new BufferedStream(new FileStream(new SafeFileHandle(file.DangerousGetHandle(), ownsHandle: false), FileAccess.Read, 0), 1 << 20);
        Span<byte> magic = stackalloc byte[8];
        stream.ReadExactly(magic);
        if (!magic.SequenceEqual(Magic))
        {
            throw new IOException($"{path} begins with {Convert.ToHexString(magic)}; it must begin with {Convert.ToHexString(Magic)}. It is no file of sequences, or one of another version.");
        }

        long end = Magic.Length;
        var frame = new byte[FrameBytes];
        var body = new byte[MaxBodyBytes];
        while (length - end >= FrameBytes)
        {
            stream.ReadExactly(frame);
            var bytes = BinaryPrimitives.ReadUInt32LittleEndian(frame);
            if (bytes > MaxBodyBytes || bytes > length - end - FrameBytes)
            {
                break;
            }

            stream.ReadExactly(body.AsSpan(0, (int)bytes));
            var content = body.AsSpan(0, (int)bytes);
            if (Crc32C.Compute(content) != BinaryPrimitives.ReadUInt32LittleEndian(frame.AsSpan(4)) || !TryDecode(content, out var record))
            {
                break;
            }

            take(record);
            end += FrameBytes + bytes;
        }

        return end;
    }

    private static byte[] Encode(in JournalRecord record)
    {
        var tenant = Encoding.UTF8.GetBytes(record.Id.Tenant);
        var name = Encoding.UTF8.GetBytes(record.Id.Name);
        var bytes = new byte[FrameBytes + 11 + tenant.Length + name.Length + record.Head.Length + (record.Rows.Length * SegmentRow.EncodedBytes)];
        var body = bytes.AsSpan(FrameBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(body, (ushort)tenant.Length);
        tenant.CopyTo(body[2..]);
        body = body[(2 + tenant.Length)..];
        body[0] = (byte)name.Length;
        name.CopyTo(body[1..]);
        body = body[(1 + name.Length)..];
        BinaryPrimitives.WriteUInt16LittleEndian(body, (ushort)record.Head.Length);
        record.Head.Span.CopyTo(body[2..]);
        body = body[(2 + record.Head.Length)..];
        BinaryPrimitives.WriteInt32LittleEndian(body, record.FirstRow);
        BinaryPrimitives.WriteUInt16LittleEndian(body[4..], (ushort)record.Rows.Length);
        SegmentRow.WriteAll(record.Rows.Span).CopyTo(body[6..]);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, (uint)(bytes.Length - FrameBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), Crc32C.Compute(bytes.AsSpan(FrameBytes)));
        return bytes;
    }

    private static bool TryDecode(ReadOnlySpan<byte> body, out JournalRecord record)
    {
        var reader = new Protocol.Native.HeadReader(body);
        var tenant = Encoding.UTF8.GetString(reader.ReadShortBytes());
        var name = Encoding.UTF8.GetString(reader.ReadBytes(reader.ReadByte()));
        var head = reader.ReadShortBytes().ToArray();
        var first = (int)reader.ReadUInt32();
        var count = reader.ReadUInt16();
        var isRead = SegmentRow.TryReadAll(reader.ReadBytes(count * SegmentRow.EncodedBytes), out var rows);
        record = new JournalRecord(new SequenceId(tenant, name), head, first, rows);
        return isRead && reader.IsComplete && first >= 0;
    }
}

/// <summary>One step in a journal.</summary>
/// <param name="Head">Encoded; empty: the sequence is forgotten.</param>
/// <param name="FirstRow">Index of the first row among the own ones.</param>
internal readonly record struct JournalRecord(SequenceId Id, ReadOnlyMemory<byte> Head, int FirstRow, ReadOnlyMemory<SegmentRow> Rows);
