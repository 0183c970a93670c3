-- Whom the demo's mail is for; the password of all is "secret". The same for all three databases.
INSERT INTO domain (domain, description) VALUES
    ('postern.example', 'mailboxes'),
    ('shop.example', 'a catch-all'),
    ('post.example', 'another name of postern.example');
INSERT INTO mailbox (username, password, name, maildir, quota, local_part, domain) VALUES
    ('ann@postern.example', '{BLF-CRYPT}$2y$05$ownIdsXAQoPvvqiq7Kr4FOxypbnhy9ZFaP5WDEa1ThLTtvrkS.NKK', 'Ann', 'postern.example/ann/', 0, 'ann', 'postern.example'),
    ('carl@postern.example', '{SHA512-CRYPT}$6$gNZhgasC1MtV.WZz$tVGrlfRez/pW9mnlM2i31MiUKsND0N4eQ.McQTgDkuO0HBaV0cvPVsHVhTwl.wAKBsWWQQSzhUkyFr.BBQH/e0', 'Carl', 'postern.example/carl/', 0, 'carl', 'postern.example'),
    ('full@postern.example', '{SHA512-CRYPT}$6$gNZhgasC1MtV.WZz$tVGrlfRez/pW9mnlM2i31MiUKsND0N4eQ.McQTgDkuO0HBaV0cvPVsHVhTwl.wAKBsWWQQSzhUkyFr.BBQH/e0', 'Full', 'postern.example/full/', 20000, 'full', 'postern.example');
INSERT INTO alias (address, goto, domain) VALUES
    ('ann@postern.example', 'ann@postern.example', 'postern.example'),
    ('carl@postern.example', 'carl@postern.example', 'postern.example'),
    ('full@postern.example', 'full@postern.example', 'postern.example'),
    ('info@postern.example', 'ann@postern.example,carl@postern.example', 'postern.example'),
    ('@shop.example', 'carl@postern.example', 'shop.example');
INSERT INTO alias_domain (alias_domain, target_domain) VALUES
    ('post.example', 'postern.example');
