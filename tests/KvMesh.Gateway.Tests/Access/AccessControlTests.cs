using System.Collections;
using System.Security.Cryptography;
using System.Text;
using KvMesh.Engine;
using KvMesh.Gateway.Access;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Gateway.Tests.Access;

public sealed class AccessControlTests : IDisposable
{
    private readonly TestEngine _engine = new(options =>
    {
        options.Tenants.Add(new TenantOptions { Name = "default" });
        options.Tenants.Add(new TenantOptions { Name = "acme" });
        options.Tenants.Add(new TenantOptions { Name = "beta" });
    });

    private readonly TemporaryDirectory _directory = new();

    private string Path => System.IO.Path.Combine(_directory.Path, "tokens.json");

    [Fact]
    public void Without_a_token_file_everyone_is_the_default_tenant_with_all_rights()
    {
        using var access = new AccessControl(_engine.Engine.Tenants, NullLoggerFactory.Instance);

        Assert.False(access.IsRequired);
        Assert.Equal("default", access.Anonymous!.Tenant.Name);
        Assert.Equal(AccessRights.All | AccessRights.Peer, access.Anonymous.Rights);
        Assert.Null(access.Authenticate("default"u8, "anything"u8));
    }

    [Fact]
    public void A_token_gives_its_tenant_and_rights_and_nothing_else_does()
    {
        Write(("acme", "token-a", "read"), ("beta", "token-b", "admin"));
        using var access = Open();

        Assert.True(access.IsRequired);
        Assert.Null(access.Anonymous);
        Assert.Equal("acme", access.Authenticate("acme"u8, "token-a"u8)!.Tenant.Name);
        Assert.Equal("beta", access.Authenticate([], "token-b"u8)!.Tenant.Name);
        Assert.Equal(AccessRights.Read, access.Authenticate([], "token-a"u8)!.Rights);
        Assert.Null(access.Authenticate("acme"u8, "token-b"u8));
        Assert.Null(access.Authenticate("default"u8, "token-a"u8));
        Assert.Null(access.Authenticate([], "token-c"u8));
        Assert.Null(access.Authenticate([], []));
    }

    [Fact]
    public void A_token_of_a_peer_acts_for_the_tenant_it_names()
    {
        Write(("default", "token-p", "peer"), ("acme", "token-a", "read"));
        using var access = Open();

        Assert.Equal("beta", access.Authenticate("beta"u8, "token-p"u8)!.Tenant.Name);
        Assert.Equal("default", access.Authenticate([], "token-p"u8)!.Tenant.Name);
        Assert.Null(access.Authenticate("nobody"u8, "token-p"u8));
        Assert.Null(access.Authenticate("beta"u8, "token-a"u8));
    }

    [Fact]
    public void A_node_with_the_key_of_the_cluster_acts_for_the_tenant_it_names()
    {
        Write(("acme", "token-a", "read"));
        using var access = Open();
        access.AdmitsPeer = static token => token.SequenceEqual("proof"u8);

        var caller = access.Authenticate("beta"u8, "proof"u8)!;

        Assert.Equal("beta", caller.Tenant.Name);
        Assert.Equal(AccessRights.Read | AccessRights.Write | AccessRights.Peer, caller.Rights);
        Assert.Null(access.Authenticate("beta"u8, "prooF"u8));
    }

    [Fact]
    public void Looks_at_every_entry_whichever_fits()
    {
        TokenEntry[] entries = [.. Enumerable.Range(0, 50).Select(i => new TokenEntry($"t{i % 3}", HashOf($"token-{i}"), AccessRights.Read))];
        foreach (var (token, expected) in new[] { ("token-0", 0), ("token-25", 25), ("token-49", 49), ("other", -1) })
        {
            var counted = new CountingList(entries);

            Assert.Equal(expected, AccessControl.Find(counted, HashOf(token), HashOf("t1"), anyTenant: true));
            Assert.Equal(entries.Length, counted.Reads);
        }
    }

    [Fact]
    public void A_changed_file_replaces_the_tokens()
    {
        Write(("acme", "old", "read"));
        using var access = Open();

        Write(("acme", "new", "read"), ("beta", "more", "read"));
        access.ReloadIfChanged();

        Assert.Null(access.Authenticate([], "old"u8));
        Assert.NotNull(access.Authenticate([], "new"u8));
        Assert.NotNull(access.Authenticate([], "more"u8));
    }

    [Theory]
    [InlineData("{ broken")]
    [InlineData("""{ "tokens": [ { "tenant": "stranger", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "rights": ["read"] } ] }""")]
    public void A_wrong_file_leaves_the_tokens_as_they_were(string content)
    {
        Write(("acme", "old", "read"));
        using var access = Open();

        File.WriteAllText(Path, content);
        access.ReloadIfChanged();

        Assert.NotNull(access.Authenticate([], "old"u8));
    }

    [Fact]
    public void A_file_that_is_gone_leaves_the_tokens_as_they_were()
    {
        Write(("acme", "old", "read"));
        using var access = Open();

        File.Delete(Path);
        access.ReloadIfChanged();
        Assert.NotNull(access.Authenticate([], "old"u8));

        Write(("acme", "new", "read"));
        access.ReloadIfChanged();
        Assert.NotNull(access.Authenticate([], "new"u8));
    }

    [Fact]
    public void Refuses_to_start_with_a_tenant_the_node_does_not_have()
    {
        Write(("stranger", "token", "read"));

        var exception = Assert.Throws<TokenFileException>(Open);

        Assert.Contains("stranger", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Tells_a_private_file_from_an_open_one()
    {
        Write(("acme", "token", "read"));

        File.SetUnixFileMode(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Assert.False(TokenFile.IsOpenToOthers(Path));

        File.SetUnixFileMode(Path, UnixFileMode.UserRead | UnixFileMode.OtherRead);
        Assert.True(TokenFile.IsOpenToOthers(Path));
    }

    public void Dispose()
    {
        _engine.Dispose();
        _directory.Dispose();
    }

    private static byte[] HashOf(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));

    private AccessControl Open() => new(_engine.Engine.Tenants, Path, TimeProvider.System, NullLoggerFactory.Instance);

    private void Write(params (string Tenant, string Token, string Right)[] tokens) =>
        TestTokens.Write(Path, tokens.Select(token => new TestToken(token.Tenant, token.Token, token.Right)));

    private sealed class CountingList(TokenEntry[] entries) : IReadOnlyList<TokenEntry>
    {
        public int Reads { get; private set; }

        public int Count => entries.Length;

        public TokenEntry this[int index]
        {
            get
            {
                Reads++;
                return entries[index];
            }
        }

        public IEnumerator<TokenEntry> GetEnumerator() => ((IEnumerable<TokenEntry>)entries).GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => entries.GetEnumerator();
    }
}
