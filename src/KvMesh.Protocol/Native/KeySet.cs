using System.Buffers.Binary;
using KvMesh.Protocol.Keys;

namespace KvMesh.Protocol.Native;

/// <summary>How the keys of a request are written. Sent on the wire: append only.</summary>
public enum KeyForm : byte
{
    /// <summary>One scope and a 32-byte chain hash per block.</summary>
    Chain = 1,

    /// <summary>Keys that mean nothing to the node.</summary>
    Opaque = 2,
}

/// <summary>
/// The keys that a request names, the last part of its head: u8 form, u8 zero, u16 scope bytes, u32 count; then for chains
/// scope ‖ count × 32 bytes of hash, and for opaque keys count × (u16 length ‖ key). It is a view of the head.
/// </summary>
public readonly ref struct KeySet
{
    private readonly ReadOnlySpan<byte> _keys;

    private KeySet(KeyForm form, int count, ReadOnlySpan<byte> scope, ReadOnlySpan<byte> keys)
    {
        Form = form;
        Count = count;
        Scope = scope;
        _keys = keys;
    }

    public KeyForm Form { get; }

    public int Count { get; }

    /// <summary>Scope of a chain; empty for opaque keys.</summary>
    public ReadOnlySpan<byte> Scope { get; }

    /// <summary>Chain hashes, 32 bytes each; empty for opaque keys.</summary>
    public ReadOnlySpan<byte> Hashes => Form == KeyForm.Chain ? _keys : default;

    /// <summary>Reads and checks all keys. On false, <paramref name="fault"/> names field, value and limit.</summary>
    public static bool TryRead(ref HeadReader reader, out KeySet keys, out KeyFault fault)
    {
        var form = (KeyForm)reader.ReadByte();
        reader.ReadByte();
        var scopeBytes = reader.ReadUInt16();
        var count = reader.ReadUInt32();
        var scope = reader.ReadBytes(scopeBytes);
        keys = default;
        fault = Check(form, count, scope, reader.IsValid);
        if (fault != KeyFault.None)
        {
            return false;
        }

        if (form == KeyForm.Chain)
        {
            keys = new KeySet(form, (int)count, scope, reader.ReadBytes((long)count * Limits.ChainHashBytes));
        }
        else
        {
            keys = new KeySet(form, (int)count, default, ReadOpaque(ref reader, (int)count, out fault));
        }

        if (fault == KeyFault.None && !reader.IsComplete)
        {
            fault = KeyFault.WrongLength;
        }

        return fault == KeyFault.None;
    }

    /// <summary>Walks the keys in order.</summary>
    public Cursor GetCursor() => new(this);

    private static KeyFault Check(KeyForm form, uint count, ReadOnlySpan<byte> scope, bool isValid)
    {
        if (!isValid)
        {
            return KeyFault.WrongLength;
        }

        if (count is 0 or > Limits.MaxBlocksPerRequest)
        {
            return KeyFault.WrongCount;
        }

        return form switch
        {
            KeyForm.Chain when BlockScope.IsWellFormed(scope) => KeyFault.None,
            KeyForm.Chain => KeyFault.WrongScope,
            KeyForm.Opaque when scope.IsEmpty => KeyFault.None,
            KeyForm.Opaque => KeyFault.WrongScope,
            _ => KeyFault.UnknownForm,
        };
    }

    private static ReadOnlySpan<byte> ReadOpaque(ref HeadReader reader, int count, out KeyFault fault)
    {
        var start = reader;
        var totalBytes = 0;
        fault = KeyFault.None;
        for (var index = 0; index < count; index++)
        {
            var key = reader.ReadShortBytes();
            totalBytes += sizeof(ushort) + key.Length;
            if (!reader.IsValid)
            {
                fault = KeyFault.WrongLength;
                return default;
            }

            if (key.Length is 0 or > Limits.MaxKeyBytes)
            {
                fault = KeyFault.WrongKeyLength;
                return default;
            }
        }

        return start.ReadBytes(totalBytes);
    }

    /// <summary>Position in a key set.</summary>
    public ref struct Cursor
    {
        private readonly KeySet _set;
        private ReadOnlySpan<byte> _rest;

        internal Cursor(KeySet set)
        {
            _set = set;
            _rest = set._keys;
        }

        /// <summary>The next key, written into <paramref name="buffer"/> of <see cref="Limits.MaxKeyBytes"/> when it has to be put together.</summary>
        public bool TryNext(Span<byte> buffer, out ReadOnlySpan<byte> key)
        {
            if (_rest.IsEmpty)
            {
                key = default;
                return false;
            }

            if (_set.Form == KeyForm.Opaque)
            {
                int bytes = BinaryPrimitives.ReadUInt16LittleEndian(_rest);
                key = _rest.Slice(sizeof(ushort), bytes);
                _rest = _rest[(sizeof(ushort) + bytes)..];
                return true;
            }

            _set.Scope.CopyTo(buffer);
            _rest[..Limits.ChainHashBytes].CopyTo(buffer[_set.Scope.Length..]);
            key = buffer[..(_set.Scope.Length + Limits.ChainHashBytes)];
            _rest = _rest[Limits.ChainHashBytes..];
            return true;
        }
    }
}

/// <summary>What is wrong with the keys of a request.</summary>
public enum KeyFault
{
    None,
    WrongLength,
    WrongCount,
    WrongScope,
    UnknownForm,
    WrongKeyLength,
}
