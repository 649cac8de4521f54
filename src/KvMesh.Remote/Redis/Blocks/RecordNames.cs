using System.Buffers.Binary;
using System.Text;
using KvMesh.Protocol;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// Who a block is: u8 tenant ‖ u8 model ‖ u8 revision ‖ u8 0 ‖ u16 key ‖ u16 parent ‖ u16 companion of ‖ u16 0, all lengths, then the bytes in
/// that order. Valid while what it was read from is.
/// </summary>
internal readonly ref struct RecordNames
{
    public const int FixedBytes = 12;

    public const int MaxBytes = FixedBytes + (3 * byte.MaxValue) + (3 * Limits.MaxKeyBytes);

    public ReadOnlySpan<byte> Tenant { get; init; }

    public ReadOnlySpan<byte> Model { get; init; }

    public ReadOnlySpan<byte> Revision { get; init; }

    public ReadOnlySpan<byte> Key { get; init; }

    public ReadOnlySpan<byte> ParentKey { get; init; }

    public ReadOnlySpan<byte> CompanionOf { get; init; }

    public int Bytes => FixedBytes + Tenant.Length + Model.Length + Revision.Length + Key.Length + ParentKey.Length + CompanionOf.Length;

    public void Write(Span<byte> destination)
    {
        destination[..FixedBytes].Clear();
        destination[0] = (byte)Tenant.Length;
        destination[1] = (byte)Model.Length;
        destination[2] = (byte)Revision.Length;
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], (ushort)Key.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], (ushort)ParentKey.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[8..], (ushort)CompanionOf.Length);
        destination = destination[FixedBytes..];
        Put(Tenant, ref destination);
        Put(Model, ref destination);
        Put(Revision, ref destination);
        Put(Key, ref destination);
        Put(ParentKey, ref destination);
        Put(CompanionOf, ref destination);
    }

    /// <summary>False when the lengths do not add up to exactly these bytes.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out RecordNames names)
    {
        names = default;
        if (source.Length < FixedBytes)
        {
            return false;
        }

        int tenant = source[0];
        int model = source[1];
        int revision = source[2];
        int key = BinaryPrimitives.ReadUInt16LittleEndian(source[4..]);
        int parent = BinaryPrimitives.ReadUInt16LittleEndian(source[6..]);
        int companion = BinaryPrimitives.ReadUInt16LittleEndian(source[8..]);
        if (source.Length != FixedBytes + tenant + model + revision + key + parent + companion
            || key is 0 or > Limits.MaxKeyBytes || parent > Limits.MaxKeyBytes || companion > Limits.MaxKeyBytes)
        {
            return false;
        }

        var at = FixedBytes;
        names = new RecordNames
        {
            Tenant = Take(source, ref at, tenant),
            Model = Take(source, ref at, model),
            Revision = Take(source, ref at, revision),
            Key = Take(source, ref at, key),
            ParentKey = Take(source, ref at, parent),
            CompanionOf = Take(source, ref at, companion),
        };
        return true;
    }

    /// <summary>UTF-8 of a name that fits into its length byte; a longer one counts as unknown.</summary>
    public static byte[] Name(string text) => Encoding.UTF8.GetByteCount(text) is var bytes && bytes <= byte.MaxValue ? Encoding.UTF8.GetBytes(text) : [];

    private static void Put(ReadOnlySpan<byte> bytes, ref Span<byte> destination)
    {
        bytes.CopyTo(destination);
        destination = destination[bytes.Length..];
    }

    private static ReadOnlySpan<byte> Take(ReadOnlySpan<byte> source, scoped ref int at, int bytes)
    {
        at += bytes;
        return source.Slice(at - bytes, bytes);
    }
}
